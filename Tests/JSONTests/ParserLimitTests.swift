import JSON
import Testing
import TestRandomness

@Suite struct ParserLimitTests {
  private static let limit = JSONParser.maximumDepth

  private func nested(_ depth: Int, _ open: String, _ close: String, around inner: String) -> String {
    String(repeating: open, count: depth) + inner + String(repeating: close, count: depth)
  }

  @Test(arguments: [("[", "]"), (#"{"a":"#, "}"), (#"[{"a":"#, "}]")], ["1", "[]"])
  func depth(brackets: (String, String), inner: String) throws {
    let each = brackets.0.utf8.filter { $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "{") }.count
    let innerDepth = inner == "[]" ? 1 : 0
    let outer = Self.limit / each
    let fits = nested(outer - innerDepth, brackets.0, brackets.1, around: inner)
    #expect(throws: Never.self) { try JSONParser.parse(fits) }
    let tooDeep = nested(outer - innerDepth + 1, brackets.0, brackets.1, around: inner)
    let error = #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(tooDeep) }
    #expect(error?.message == "nested more than 64 deep")
  }

  /// The parser gives up at the limit, it does not read on: a megabyte of brackets is no danger to the stack.
  @Test func manyBrackets() {
    #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(String(repeating: "[", count: 1_000_000)) }
    #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(String(repeating: #"{"":"#, count: 300_000)) }
  }

  /// Both ways of looking for repeated names: few members and many.
  @Test(arguments: [2, 3, 8, 9, 10, 40]) func repeatedNames(count: Int) throws {
    let names = (0..<count).map { "n\($0)" }
    func text(_ names: [String]) -> String { "{" + names.map { "\"\($0)\":1" }.joined(separator: ",") + "}" }
    #expect(try JSONParser.parse(text(names)).object?.members.map(\.name) == names)
    for repeated in [0, count / 2, count - 1] {
      let error = #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(text(names + [names[repeated]])) }
      #expect(error?.message == "member \"n\(repeated)\" stands twice")
    }
  }

  @Test func repeatedByEscape() {
    #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(#"{"a":1,"\u0061":2}"#) }
  }

  /// Names that Swift takes for equal are different names in JSON.
  @Test(arguments: [0, 8, 12]) func namesThatOnlyLookAlike(others: Int) throws {
    let filler = (0..<others).map { "\"n\($0)\":0," }.joined()
    let value = try JSONParser.parse("{" + filler + "\"\u{E9}\":1,\"e\u{301}\":2}")
    #expect(value["\u{E9}"] == 1)
    #expect(value["e\u{301}"] == 2)
    #expect(try JSONParser.parse(value.encoded) == value)
  }

  @Test func everyPrefixThrows() throws {
    let document = Array(
      #"{"a":[1,-2.5e+3,true,false,null,"x\"\\\u00e9\ud83d\ude00é€"],"b":{"c":{},"d":[]},"":"\n"}"#.utf8)
    #expect(throws: Never.self) { try JSONParser.parse(document) }
    for length in 0..<document.count {
      let error = #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(document.prefix(length)) }
      #expect((error?.offset ?? -1) <= length)
    }
  }

  /// Any bytes give a value or an error; a value survives being written and read.
  @Test(arguments: [UInt64.random(in: 0 ... .max), 1, 2]) func fuzz(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let letters = Array(#"{}[]:,"\u0019eE+-.tfn dDcC8 "#.utf8) + [0, 10, 0x7F, 0x80, 0xC3, 0xA9, 0xED, 0xFF]
    for _ in 0..<4_000 {
      var bytes: [UInt8]
      if random.chance(oneIn: 2) {
        bytes = (0..<random.below(40)).map { _ in letters[random.below(letters.count)] }
      } else {
        bytes = random.json(depth: 3).encoded
        for _ in 0..<(1 + random.below(3)) where !bytes.isEmpty {
          bytes[random.below(bytes.count)] = letters[random.below(letters.count)]
        }
      }
      guard let value = try? JSONParser.parse(bytes) else { continue }
      #expect(try JSONParser.parse(value.encoded) == value, "seed \(seed)")
    }
  }
}
