import Cryptography
import ResultPackage
import Testing
import TestRandomness

struct ZipWriterTests {
  static let chunk = 512 * 1024

  @Test(arguments: [0, 1, 100, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk + 17])
  func everyLengthRoundTrips(length: Int) throws {
    var random = SeededGenerator(seed: UInt64(length))
    let mixed = random.text(length / 2) + random.bytes(length - length / 2)
    for bytes in [random.text(length), random.bytes(length), mixed, [UInt8](repeating: 0, count: length)] {
      let reader = try ZipReader(BytesSource(try archive([("a", bytes)])))
      let entry = try #require(reader.entries.first)
      #expect(entry.size == UInt64(length))
      #expect(try reader.bytes(of: entry) == bytes)
    }
  }

  @Test func methodIsChosenByTheBytes() throws {
    var random = SeededGenerator(seed: 1)
    let cases: [(String, [UInt8], ZipMethod)] = [
      ("empty", [], .stored), ("tiny", [1, 2, 3], .stored), ("random.txt", random.bytes(100_000), .stored),
      ("text.png", random.text(100_000), .deflated), ("long random", random.bytes(2_000_000), .stored),
      ("long text", random.text(2_000_000), .deflated),
    ]
    for (name, bytes, method) in cases {
      let entry = try #require(try ZipReader(BytesSource(try archive([(name, bytes)]))).entries.first)
      #expect(entry.method == method, "\(name)")
      #expect(entry.compressedSize <= entry.size, "\(name)")
    }
  }

  @Test func incompressiblePiecesOfACompressibleFileGrowLittle() throws {
    var random = SeededGenerator(seed: 2)
    let bytes = random.text(Self.chunk) + random.bytes(4 * Self.chunk)
    let entry = try #require(try ZipReader(BytesSource(try archive([("a", bytes)]))).entries.first)
    #expect(entry.method == .deflated)
    #expect(entry.compressedSize < UInt64(4 * Self.chunk) + UInt64(Self.chunk / 2))
  }

  @Test(arguments: [1, 2, 3, 7])
  func threadsDoNotChangeTheBytes(threads: Int) throws {
    var random = SeededGenerator(seed: 3)
    let files = [("a", random.text(5_000_000)), ("b", random.bytes(1_000_000)), ("c", random.text(10))]
    #expect(try archive(files, threads: threads) == archive(files))
  }

  @Test func digestsAreOfTheFilesAndTheArchive() throws {
    var random = SeededGenerator(seed: 4)
    let sink = BufferSink()
    let writer = try ZipWriter(sink: sink)
    for length in [0, 10, Self.chunk + 5] {
      let bytes = random.text(length)
      let added = try writer.add("f\(String(length + 1_000_000))", bytes)
      #expect(added.sha256 == SHA256.hash(bytes))
    }
    let summary = try writer.finish()
    #expect(summary.sha256 == SHA256.hash(sink.bytes))
    #expect(summary.size == UInt64(sink.bytes.count))
    #expect(summary.entryCount == 3)
  }

  @Test(arguments: [("b", "a"), ("a", "a"), ("a/b", "a-b"), ("é", "z"), ("a", "A")])
  func orderIsBytewiseAndStrict(first: String, second: String) throws {
    let writer = try ZipWriter(sink: BufferSink())
    _ = try writer.add(first, [])
    #expect(throws: ZipWriteError.outOfOrder(previous: first, name: second)) { try writer.add(second, []) }
    #expect(throws: ZipWriteError.closed) { try writer.add("zz", []) }
    #expect(throws: ZipWriteError.closed) { try writer.finish() }
  }

  @Test func badNamesAreRefused() throws {
    for (name, reason) in [("../a", ArtifactPathError.dotSegment), ("", .empty), ("a\\b", .backslash)] {
      let writer = try ZipWriter(sink: BufferSink())
      #expect(throws: ZipWriteError.badName(name, reason)) { try writer.add(name, []) }
    }
  }

  @Test(arguments: [0, 9, 11, chunk, 2 * chunk])
  func lyingSourcesAreRefused(length: Int) throws {
    let writer = try ZipWriter(sink: BufferSink())
    var rest = [UInt8](repeating: 7, count: length)[...]
    #expect(throws: ZipWriteError.sizeDiffers(name: "a", announced: 10)) {
      try writer.add(name: "a", size: 10) { buffer in
        let part = rest.prefix(buffer.count)
        buffer.copyBytes(from: part)
        rest = rest.dropFirst(part.count)
        return part.count
      }
    }
  }

  @Test func sourceErrorsComeThrough() throws {
    struct Broken: Error {}
    for threads in [1, 2] {
      var pieces = 0
      let writer = try ZipWriter(sink: BufferSink(), threads: threads)
      #expect(throws: Broken.self) {
        try writer.add(name: "a", size: UInt64(100 * Self.chunk)) { buffer in
          pieces += 1
          if pieces == 9 { throw Broken() }
          return buffer.count
        }
      }
    }
  }

  @Test func sinkErrorsComeThrough() throws {
    var random = SeededGenerator(seed: 5)
    let writer = try ZipWriter(sink: BufferSink(limit: Self.chunk))
    #expect(throws: LimitExceeded(limit: UInt64(Self.chunk))) { try writer.add("a", random.bytes(3 * Self.chunk)) }
  }

  @Test func cancellationIsAskedForEveryPiece() throws {
    var asked = 0
    let writer = try ZipWriter(sink: BufferSink()) {
      asked += 1
      return asked <= 3
    }
    #expect(throws: OperationCanceled.self) { try writer.add("a", [UInt8](repeating: 0, count: 4 * Self.chunk)) }
    #expect(asked == 4)
  }

  @Test func commentLimits() throws {
    let longest = String(repeating: "c", count: 1024)
    #expect(try ZipReader(BytesSource(archive([], comment: longest))).comment == Array(longest.utf8))
    #expect(throws: ZipWriteError.badComment) { try archive([], comment: longest + "c") }
    #expect(throws: ZipWriteError.badComment) { try archive([], comment: "é") }
    #expect(throws: ZipWriteError.badComment) {
      try ZipWriter(sink: BufferSink()).finish(commentLength: 3) { _ in [0x20] }
    }
  }

  @Test func commentSeesTheDigestOfAllBeforeIt() throws {
    let sink = BufferSink()
    let writer = try ZipWriter(sink: sink)
    _ = try writer.add("a", [1, 2, 3])
    _ = try writer.finish(commentLength: 64) { Array($0.hex.utf8) }
    let split = sink.bytes.count - 64
    #expect(SHA256.hash(sink.bytes[..<split]).hex == String(decoding: sink.bytes[split...], as: UTF8.self))
  }
}
