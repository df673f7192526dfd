import Testing

@testable import Coordinator

struct ByteRangeTests {
  @Test(
    arguments: [
      ("bytes=0-0", 10, 0..<1), ("bytes=0-9", 10, 0..<10), ("bytes=5-", 10, 5..<10), ("bytes=-3", 10, 7..<10),
      ("bytes=-30", 10, 0..<10), ("bytes=2-100", 10, 2..<10), ("BYTES=1-1", 10, 1..<2), ("bytes= 1 - 2", 10, 1..<3),
      ("bytes=0-9223372036854775807", 10, 0..<10),
    ] as [(String, Int64, Range<Int64>)])
  func `one range`(header: String, size: Int64, expected: Range<Int64>) {
    #expect(ByteRange.parse(header)?.first?.resolve(size: size) == expected)
  }

  @Test(arguments: ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999-"]) func `nothing of the file`(
    header: String
  ) {
    #expect(ByteRange.parse(header).map { $0[0].resolve(size: 10) } == .some(nil))
  }

  @Test func `an empty file has no range`() { #expect(ByteRange.parse("bytes=0-")?[0].resolve(size: 0) == nil) }

  @Test(arguments: [
    "", "bytes", "bytes=", "bytes=a-b", "bytes=3-2", "items=0-1", "bytes=1", "bytes=--1", "bytes=1-2-3",
    "bytes=,",
  ])
  func `what is no range is ignored`(header: String) { #expect(ByteRange.parse(header) == nil) }

  @Test func `several are told apart, too many are none`() {
    #expect(ByteRange.parse("bytes=0-1,3-4")?.count == 2)
    let sixteen = "bytes=" + Array(repeating: "0-1", count: 16).joined(separator: ",")
    #expect(ByteRange.parse(sixteen)?.count == 16)
    #expect(ByteRange.parse(sixteen + ",0-1") == nil)
  }
}

struct LogTailTests {
  @Test(arguments: [
    ("a\nb\nc\n", 1, "c\n"), ("a\nb\nc", 1, "c"), ("a\nb\nc\n", 2, "b\nc\n"), ("a\nb\nc\n", 9, "a\nb\nc\n"),
    ("\n\n", 1, "\n"), ("abc", 1, "abc"), ("", 3, ""), ("a\n", 0, ""),
  ])
  func `the last lines`(text: String, lines: Int64, expected: String) {
    let bytes = Array(text.utf8)
    #expect(String(decoding: bytes[LogTail.start(of: lines, in: bytes)...], as: UTF8.self) == expected)
  }
}

struct PercentDecodingTests {
  @Test(
    arguments: [
      ("plain", "plain"), ("a%20b", "a b"), ("%C3%A9", "é"), ("%2e%2E", ".."), ("%", "%"), ("%4", "%4"), ("%zz", "%zz"),
      ("%ff", "%ff"), ("100%25", "100%"), ("", ""),
    ] as [(Substring, String)])
  func decodes(text: Substring, expected: String) { #expect(PercentDecoding.decode(text) == expected) }
}
