import Testing
import TestRandomness

@testable import Miner

@Suite("Progress lines")
struct ProgressParserTests {
  private func last(_ text: String) -> ProgressUpdate? {
    var parser = ProgressParser()
    return parser.consume(text.utf8)
  }

  @Test(
    arguments: [
      ("45\n", 45, nil), ("45 epoch 3 of 7\n", 45, "epoch 3 of 7"), ("45%\n", 45, nil), ("45 % half\n", 45, "half"),
      ("  7\tx\n", 7, "x"), ("45.9 almost\n", 45, "almost"), ("0\n", 0, nil), ("99\n", 99, nil), ("100\n", 99, nil),
      ("100% done\r\n", 99, "done\r"), ("99999999999999999999999 far\n", 99, "far"), ("007 bond\n", 7, "bond"),
      ("5 a\u{1B}[31mred\n", 5, "a[31mred"), ("5 %\n", 5, nil), ("1\n2 two\n", 2, "two"),
    ] as [(String, Int, String?)])
  func `are read`(text: String, percent: Int, message: String?) {
    // Control characters, the carriage return too, are no part of a message.
    let expected = message.map { String($0.unicodeScalars.filter { $0.value >= 32 }.map(Character.init)) }
    #expect(last(text) == ProgressUpdate(percent: percent, message: expected))
  }

  @Test(arguments: [
    "\n", "x\n", "-5\n", "+5\n", "5x\n", "5.\n", "5.x\n", ".5\n", "5,5\n", "5%%\n", "% 5\n", "45", "五\n",
  ])
  func `that are none are skipped`(text: String) { #expect(last(text) == nil) }

  @Test func `never fall`() {
    var parser = ProgressParser()
    #expect(parser.consume("50 a\n".utf8) == ProgressUpdate(percent: 50, message: "a"))
    #expect(parser.consume("20 b\n".utf8) == ProgressUpdate(percent: 50, message: "b"))
    #expect(parser.consume("51\n".utf8) == ProgressUpdate(percent: 51))
  }

  @Test func `are bounded: one at the limit is read, one past it is skipped with its newline`() {
    let atLimit = "42 " + String(repeating: "m", count: ProgressParser.maximumLine - 3)
    #expect(atLimit.utf8.count == ProgressParser.maximumLine)
    #expect(last(atLimit + "\n")?.percent == 42)
    #expect(last(atLimit + "\n")?.message?.count == ProgressParser.maximumMessage)
    #expect(last(atLimit + "m\n") == nil)
    #expect(last(atLimit + "m\n43\n") == ProgressUpdate(percent: 43))
    #expect(last(String(repeating: "9", count: 1_000_000) + "\n44\n")?.percent == 44)
  }

  @Test func `mean the same however they are cut`() {
    let text =
      Array("1 one\n\u{FFFD}\n22%\nrubbish\n10 less\n\u{1F600} 5\n60 done \u{1F600}\n3".utf8) + [0xFF, 10, 70, 10]
    var whole = ProgressParser()
    let expected = whole.consume(text)
    #expect(expected == ProgressUpdate(percent: 60, message: "done \u{1F600}"))
    for seed in 0..<200 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      var parser = ProgressParser()
      var rest = text[...]
      var result: ProgressUpdate?
      while !rest.isEmpty {
        let count = Int.random(in: 0...7, using: &generator)
        if let update = parser.consume(rest.prefix(count)) { result = update }
        rest = rest.dropFirst(count)
      }
      #expect(result == expected, "seed \(seed)")
    }
  }

  @Test func `of random bytes never harm`() {
    for seed in 0..<100 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      var parser = ProgressParser()
      for _ in 0..<50 {
        let bytes = (0..<100).map { _ in UInt8.random(in: 0...255, using: &generator) & 0x3F }
        if let update = parser.consume(bytes) { #expect((0...99).contains(update.percent), "seed \(seed)") }
      }
    }
  }
}
