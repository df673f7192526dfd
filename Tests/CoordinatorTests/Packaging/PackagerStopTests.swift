import Foundation
import Marketplace
import ResultPackage
import Testing

@testable import Coordinator
@testable import Store

/// A stop of the coordinator does not wait for a large package.
@Suite struct PackagerStopTests {
  static let artifacts = ["noise.bin": ResultFilesTests.noise, "text.txt": ResultFilesTests.text]

  @Test func `a build that is told to stop leaves nothing and is done again`() async throws {
    try await PackedJob.with(Self.artifacts) { packed in
      let contents = try await packed.store.read {
        try PackageContents(of: packed.job.id, in: $0, files: packed.files)
      }
      let before = packed.everything
      var asked = 0
      #expect(throws: OperationCanceled.self) {
        try contents.write(signedWith: packed.keys.active, log: PackedJob.log) {
          asked += 1
          return asked < 3
        }
      }
      #expect(asked == 3)
      #expect(packed.everything == before)
      _ = try await packed.packager().package(of: packed.job.id)
      #expect(packed.loose.isEmpty && FileManager.default.fileExists(atPath: packed.packagePath))
    }
  }

  @Test func `who waits for a package when the coordinator stops is told so`() async throws {
    try await PackedJob.with(Self.artifacts) { packed in
      let before = packed.everything
      let packager = packed.packager()
      packager.stop()
      await #expect(throws: StoreError.closed) { try await packager.package(of: packed.job.id) }
      #expect(packed.everything == before)
      _ = try await packed.packager().package(of: packed.job.id)
      // What is there is told by a stopped one too.
      #expect(try await packager.package(of: packed.job.id).size > 0)
    }
  }
}

extension PackedJob {
  /// The files of results, and those that are being made.
  fileprivate var everything: [String] {
    (FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? [])
      .filter { !$0.hasPrefix("market.db") && !POSIXFile.isDirectory(folder + "/" + $0) }.sorted()
  }
}
