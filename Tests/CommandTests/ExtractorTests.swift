import Cryptography
import Foundation
import MarketplaceClient
import ResultPackage
import Testing

@testable import aitbc

/// Unpacking writes below the package's own folder and nowhere else, whatever lies there already.
struct ExtractorTests {
  private struct Place {
    let folder: String
    var target: String { folder + "/target" }
    var outside: String { folder + "/outside" }
    var archive: String { folder + "/output.zip" }
    let files = FileManager.default

    func text(_ path: String) -> String? { try? String(contentsOfFile: folder + "/" + path, encoding: .utf8) }
    func link(_ path: String, to destination: String) throws {
      try files.createSymbolicLink(atPath: target + "/" + path, withDestinationPath: destination)
    }
  }

  private func withPlace(_ body: (Place) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "extract-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let place = Place(folder: folder)
    for path in [place.target, place.outside] {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    try "untouched".write(toFile: place.outside + "/file", atomically: true, encoding: .utf8)
    let entries = try ["artifacts/a/b.txt", "artifacts/c.txt", "result.txt"].map {
      PackageEntry(path: try ArtifactPath(validating: $0), source: .bytes(Array($0.utf8)))
    }
    let sink = BufferSink()
    _ = try PackageBuilder(jobID: "job_1", signer: .generate()).build(entries, to: sink)
    try Data(sink.bytes).write(to: URL(filePath: place.archive))
    try body(place)
    #expect(place.text("outside/file") == "untouched")
    let names = try FileManager.default.contentsOfDirectory(atPath: place.outside)
    #expect(names == ["file"])
  }

  @Test func everythingGoesIntoItsFolder() throws {
    try withPlace { place in
      let root = try PackageExtractor.extract(place.archive, into: place.target)
      let names = try place.files.contentsOfDirectory(atPath: place.target)
      #expect(root == "job_1" && names == ["job_1"])
      #expect(place.text("target/job_1/artifacts/a/b.txt") == "artifacts/a/b.txt")
      #expect(place.text("target/job_1/result.txt") == "result.txt")
    }
  }

  @Test(arguments: ["job_1", "job_1/artifacts", "job_1/artifacts/a"])
  func aLinkInPlaceOfAFolderIsNotFollowed(path: String) throws {
    try withPlace { place in
      let parent = (place.target + "/" + path as NSString).deletingLastPathComponent
      try place.files.createDirectory(atPath: parent, withIntermediateDirectories: true)
      try place.link(path, to: place.outside)
      #expect(throws: ClientError.self) { try PackageExtractor.extract(place.archive, into: place.target) }
    }
  }

  @Test func aLinkInPlaceOfAFileIsReplaced() throws {
    try withPlace { place in
      try place.files.createDirectory(atPath: place.target + "/job_1", withIntermediateDirectories: true)
      try place.link("job_1/result.txt", to: place.outside + "/file")
      _ = try PackageExtractor.extract(place.archive, into: place.target)
      #expect(place.text("target/job_1/result.txt") == "result.txt")
    }
  }

  @Test func aDamagedArchiveIsRefused() throws {
    try withPlace { place in
      var bytes = try Data(contentsOf: URL(filePath: place.archive))
      bytes[10] ^= 1
      try bytes.write(to: URL(filePath: place.archive))
      #expect(throws: ZipRefusal.self) { try PackageExtractor.extract(place.archive, into: place.target) }
      let names = try place.files.contentsOfDirectory(atPath: place.target)
      #expect(names.isEmpty)
    }
  }
}
