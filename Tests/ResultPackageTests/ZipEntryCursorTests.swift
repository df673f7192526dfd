import ResultPackage
import Testing
import TestRandomness

struct ZipEntryCursorTests {
  static func sample(_ random: inout SeededGenerator) throws -> (
    files: [(name: String, bytes: [UInt8])], bytes: [UInt8]
  ) {
    var files: [(name: String, bytes: [UInt8])] = [
      ("job_x/a", random.text(1_300_000)), ("job_x/b", random.bytes(700_000)),
    ]
    files += (0..<3000).map { ("job_x/c/\($0 + 10_000)", $0 % 7 == 0 ? [] : random.text($0 % 90)) }
    files.append(("job_x/d", []))
    return (files, try archive(files, comment: "c"))
  }

  @Test func lookupFindsWhatTheReaderFinds() throws {
    var random = SeededGenerator(seed: 8)
    let (files, bytes) = try Self.sample(&random)
    let lookup = try ZipLookup(BytesSource(bytes))
    let reader = try ZipReader(BytesSource(bytes))
    for index in [0, 1, 2, 3, 1500, 3000, files.count - 1] {
      #expect(try lookup.entry(named: files[index].name) == reader.entries[index])
    }
    for name in ["", "a", "job_x/", "job_x/c/1", "job_x/c/99999", "job_x/d/", "job_x/e"] {
      #expect(try lookup.entry(named: name) == nil, "\(name)")
    }
    #expect(try ZipLookup(BytesSource(try archive([]))).entry(named: "a") == nil)
  }

  @Test func anyPlaceInAnyOrder() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(seed: seed)
    let (files, bytes) = try Self.sample(&random)
    let source = BytesSource(bytes)
    for file in files.prefix(2) {
      let entry = try #require(try ZipLookup(source).entry(named: file.name))
      #expect(entry.method == (file.name == "job_x/a" ? .deflated : .stored))
      let cursor = ZipEntryCursor(entry)
      for _ in 0..<60 {
        let offset = Int.random(in: 0...file.bytes.count + 10, using: &random)
        let count = Int.random(in: 0...200_000, using: &random)
        let expected = Array(file.bytes.dropFirst(offset).prefix(count))
        #expect(try cursor.read(from: source, at: UInt64(offset), count: count) == expected, "seed \(seed)")
      }
      var whole: [UInt8] = []
      while whole.count < file.bytes.count {
        whole += try cursor.read(from: source, at: UInt64(whole.count), count: 70_001)
      }
      #expect(whole == file.bytes && cursor.position == UInt64(whole.count))
    }
  }

  @Test func damageIsTold() throws {
    var random = SeededGenerator(seed: 9)
    let (_, bytes) = try Self.sample(&random)
    let entry = try #require(try ZipLookup(BytesSource(bytes)).entry(named: "job_x/a"))
    var damaged = bytes
    // A block of the type that does not exist.
    damaged[Int(entry.dataOffset)] = 0xFF
    let cursor = ZipEntryCursor(entry)
    #expect(throws: ZipRefusal.corruptData(name: "job_x/a")) {
      var offset: UInt64 = 0
      while offset < entry.size {
        offset += UInt64(try cursor.read(from: BytesSource(damaged), at: offset, count: 65536).count)
      }
    }
  }
}
