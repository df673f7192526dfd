import Cryptography
import Foundation
import ResultPackage
import TestRandomness

/// A temporary folder that is removed with this object.
final class TemporaryFolder {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "result-package-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  func write(_ bytes: [UInt8], to name: String) throws { try Data(bytes).write(to: URL(filePath: file(name))) }

  func read(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(filePath: file(name)))) }

  var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }
}

/// What a command gave.
struct CommandResult {
  let status: Int32
  let output: String
}

/// Runs a shell script, in a folder, with standard output and error together.
func shell(_ script: String, in folder: String) throws -> CommandResult {
  let process = Process()
  process.executableURL = URL(filePath: "/bin/sh")
  process.arguments = ["-c", script]
  process.currentDirectoryURL = URL(filePath: folder)
  process.environment = ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "LC_ALL": "C.UTF-8"]
  let pipe = Pipe()
  process.standardOutput = pipe
  process.standardError = pipe
  try process.run()
  let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
  process.waitUntilExit()
  return CommandResult(status: process.terminationStatus, output: String(decoding: data, as: UTF8.self))
}

extension SeededGenerator {
  mutating func bytes(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count { withUnsafeBytes(of: next()) { bytes.append(contentsOf: $0) } }
    return Array(bytes.prefix(count))
  }

  /// Lines of words: compressible, not trivially.
  mutating func text(_ count: Int) -> [UInt8] {
    let words = ["alpha", "beta", "gamma", "delta", "loss", "epoch", "0.25", "\n", "step", "ok", "é", "結果"]
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count { bytes.append(contentsOf: (words[Int(next() % 12)] + " ").utf8) }
    return Array(bytes.prefix(count))
  }
}

/// An archive of these files, written by `ZipWriter`.
func archive(_ files: [(name: String, bytes: [UInt8])], threads: Int = 1, comment: String = "") throws -> [UInt8] {
  let sink = BufferSink()
  let writer = try ZipWriter(sink: sink, threads: threads)
  for file in files { _ = try writer.add(file.name, file.bytes) }
  _ = try writer.finish(commentLength: comment.utf8.count) { _ in Array(comment.utf8) }
  return sink.bytes
}

extension ZipWriter {
  func add(_ name: String, _ bytes: [UInt8]) throws -> ZipAddedFile {
    var rest = bytes[...]
    return try add(name: name, size: UInt64(bytes.count)) { buffer in
      let part = rest.prefix(buffer.count)
      buffer.copyBytes(from: part)
      rest = rest.dropFirst(part.count)
      return part.count
    }
  }
}

extension ZipReader {
  func bytes(of entry: ZipEntry) throws -> [UInt8] {
    let sink = BufferSink()
    try read(entry, to: sink)
    return sink.bytes
  }
}

/// Keys that are the same in every run.
func testKey(_ number: UInt8) throws -> Ed25519PrivateKey {
  try Ed25519PrivateKey(rawBytes: [UInt8](repeating: number, count: 32))
}

extension ArtifactPath {
  /// A path written in a test.
  init(_ path: String) throws { try self.init(validating: path) }
}
