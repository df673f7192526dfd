import Cryptography
import Foundation
import Marketplace
import NIOCore
import NIOPosix
import ResultPackage
import Testing

@testable import Coordinator
@testable import Store

/// Logs and artifacts are the same bytes before, while and after they move into the package.
struct ResultFilesTests {
  static let text = Array(String(repeating: "a line that compresses\n", count: 50_000).utf8)
  static let noise: [UInt8] = {
    var random = SystemRandomNumberGenerator()
    return (0..<700_000).map { _ in UInt8.random(in: 0...255, using: &random) }
  }()
  static let artifacts = [
    "text.txt": text, "noise.bin": noise, "result.txt": Array("42\n".utf8), "empty": [], "d/e.f": [1],
  ]

  private func withResults(
    _ body: (PackedJob, ResultFiles) async throws -> Void
  ) async throws {
    try await PackedJob.with(Self.artifacts, stdout: Self.text) { packed in
      try await body(
        packed, ResultFiles(store: packed.store, files: packed.files, blocking: NIOThreadPool.singleton))
    }
  }

  private func check(_ packed: PackedJob, _ results: ResultFiles) async throws {
    for (path, bytes) in Self.artifacts {
      let content = try await results.artifact(
        ArtifactRecord(
          job: packed.job.id, tryNumber: 1, path: path, size: Int64(bytes.count), sha256: SHA256.hash(bytes).hex))
      #expect(try Self.read(content, from: 0, bytes.count) == bytes, "\(path)")
      let tail = bytes.count - bytes.count / 3
      #expect(try Self.read(content, from: tail, bytes.count) == Array(bytes[tail...]), "\(path)")
    }
    let id = packed.job.id
    #expect(try await results.logLength(id, tryNumber: 1, stream: .stdout) == Int64(Self.text.count))
    #expect(try await results.logLength(id, tryNumber: 1, stream: .stderr) == 0)
    #expect(try await results.logLength(id, tryNumber: 2, stream: .stdout) == 0)
    for offset in [0, 600_000, 100_000, Self.text.count - 1, Self.text.count, Self.text.count + 9] {
      let bytes = try await results.readLog(id, tryNumber: 1, stream: .stdout, offset: Int64(offset), count: 70_000)
      #expect(bytes == Array(Self.text.dropFirst(offset).prefix(70_000)), "\(offset)")
    }
    #expect(try await results.readLog(id, tryNumber: 2, stream: .stdout, offset: 0, count: 10).isEmpty)
  }

  static func read(_ content: FileContent, from start: Int, _ size: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while start + bytes.count < size {
      let wanted = min(100_001, size - start - bytes.count)
      bytes += Array(buffer: try content.read(offset: Int64(start + bytes.count), count: wanted))
    }
    return bytes
  }

  @Test func beforeAndAfter() async throws {
    try await withResults { packed, results in
      try await check(packed, results)
      _ = try await packed.packager().package(of: packed.job.id)
      #expect(packed.loose.isEmpty)
      try await check(packed, results)
    }
  }

  @Test func aReadingInProgressIsNotDisturbed() async throws {
    try await withResults { packed, results in
      let record = ArtifactRecord(
        job: packed.job.id, tryNumber: 1, path: "noise.bin", size: 700_000, sha256: SHA256.hash(Self.noise).hex)
      let content = try await results.artifact(record)
      #expect(try Self.read(content, from: 0, 1000) == Array(Self.noise.prefix(1000)))
      _ = try await packed.packager().package(of: packed.job.id)
      #expect(try Self.read(content, from: 1000, 700_000) == Array(Self.noise[1000...]))
      // And one out of the package stays whole when the package is removed.
      let packedContent = try await results.artifact(record)
      try packed.files.removeFiles(of: packed.job.id)
      #expect(try Self.read(packedContent, from: 0, 700_000) == Self.noise)
    }
  }

  @Test func theManifestComesOutOfThePackage() async throws {
    try await withResults { packed, results in
      _ = try await packed.packager().package(of: packed.job.id)
      let manifest = try Manifest(parsing: try await results.manifest(packed.job.id))
      #expect(manifest.jobID == packed.job.id.rawValue && manifest.entries.count == 8)
    }
  }

  /// Loose copies that a stop left are found again, and logs of earlier tries stay.
  @Test func looseCopiesAreRemovedLater() async throws {
    try await withResults { packed, results in
      let id = packed.job.id
      _ = try await packed.packager().package(of: id)
      for (number, text) in [(1, "left"), (0, "earlier")] {
        let log = try packed.files.openLog(id, tryNumber: number, stream: .stdout)
        _ = try log.append(Array(text.utf8), at: 0)
      }
      #expect(try packed.files.jobsWithLooseFiles() == [id])
      try packed.files.removeLooseCopies(of: id, lastTry: 1)
      #expect(packed.loose == ["logs/\(id)/0.stdout"])
      let earlier = try await results.readLog(id, tryNumber: 0, stream: .stdout, offset: 0, count: 100)
      #expect(earlier == Array("earlier".utf8))
    }
  }
}
