import Cryptography
import Foundation
import ResultPackage
import Testing
import TestRandomness
import Wire

@testable import Miner

@Suite("Log spool")
struct LogSpoolTests {
  @Test func `what was appended is read back from any offset`() throws {
    for seed in 0..<20 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      let folder = try TemporaryFolder()
      let spool = try LogSpool(path: folder.path + "/log")
      #expect(spool.fact == .empty)
      var all: [UInt8] = []
      for _ in 0..<20 {
        let piece = (0..<Int.random(in: 0...5000, using: &generator)).map { _ in
          UInt8.random(in: 0...255, using: &generator)
        }
        try spool.append(piece)
        all += piece
        #expect(spool.written == all.count)
        let offset = Int.random(in: 0...all.count, using: &generator)
        let count = Int.random(in: 1...9000, using: &generator)
        #expect(
          try spool.read(from: Int64(offset), count: count) == Array(all[offset...].prefix(count)), "seed \(seed)")
      }
      #expect(spool.fact == LogFact(length: Int64(all.count), sha256: SHA256.hash(all).hex), "seed \(seed)")
    }
  }

  @Test func `the limit is exact`() throws {
    let folder = try TemporaryFolder()
    let spool = try LogSpool(path: folder.path + "/log", limit: 10)
    try spool.append(Array("12345".utf8))
    try spool.append(Array("67890".utf8))
    try spool.append([])
    #expect(throws: OutputTooLarge(limit: 10)) { try spool.append(Array("x".utf8)) }
    #expect(spool.written == 10)
    let other = try LogSpool(path: folder.path + "/other", limit: 10)
    #expect(throws: OutputTooLarge(limit: 10)) { try other.append(Array("12345678901".utf8)) }
    // What fits is kept.
    #expect(try other.read(from: 0) == Array("1234567890".utf8))
    #expect(other.fact == LogFact(length: 10, sha256: SHA256.hash("1234567890".utf8).hex))
  }

  @Test func `reading past the end gives nothing`() throws {
    let folder = try TemporaryFolder()
    let spool = try LogSpool(path: folder.path + "/log")
    try spool.append([1, 2, 3])
    #expect(try spool.read(from: 3).isEmpty && spool.read(from: 400).isEmpty && spool.read(from: -1).isEmpty)
    #expect(try spool.read(from: 2) == [3])
  }

  @Test func `a spool never takes over a file that is there`() throws {
    let folder = try TemporaryFolder()
    _ = try LogSpool(path: folder.path + "/log")
    #expect(throws: FileError.self) { try LogSpool(path: folder.path + "/log") }
  }

  @Test func `a full disk is told with its code, and what was written counts`() throws {
    // /dev/full answers every write with ENOSPC.
    let spool = try LogSpool(existing: "/dev/full")
    #expect { try spool.append([1]) } throws: { ($0 as? FileError)?.code == ENOSPC }
    #expect(spool.written == 0 && spool.fact == .empty)
  }
}
