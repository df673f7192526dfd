import JSON
import Testing
import TestRandomness

@Suite struct WriterTests {
  @Test func compact() {
    let value: JSONValue = ["b": [1, .decimal("0.10"), true, .null, "x"], "a": [:], "c": []]
    #expect(value.text == #"{"b":[1,0.10,true,null,"x"],"a":{},"c":[]}"#)
  }

  /// RFC 8259 §7: quote, backslash and everything below U+0020, nothing else.
  @Test func escapes() throws {
    let expected: [UInt8: String] = [
      8: #"\b"#, 9: #"\t"#, 10: #"\n"#, 12: #"\f"#, 13: #"\r"#, 34: #"\""#, 92: #"\\"#, 0: #"\u0000"#, 1: #"\u0001"#,
      31: #"\u001f"#, 16: #"\u0010"#, 27: #"\u001b"#,
    ]
    for byte in UInt8(0)...127 {
      let character = String(Unicode.Scalar(byte))
      let inner = String(JSONValue.string("é" + character + "z").text.dropFirst(2).dropLast(2))
      if let escape = expected[byte] { #expect(inner == escape) }
      #expect((inner != character) == (byte < 32 || byte == 34 || byte == 92))
      #expect(try JSONParser.parse(JSONValue.string(character).text) == .string(character))
    }
  }

  @Test func pretty() {
    let value: JSONValue = ["a": [1, [2], []], "b": ["c": "d"], "e": [:]]
    #expect(
      value.pretty == """
        {
          "a": [
            1,
            [
              2
            ],
            []
          ],
          "b": {
            "c": "d"
          },
          "e": {}
        }
        """)
  }

  /// Sorted by bytes at every depth: `Z` before `a`, and U+FFFF before U+10000, which UTF-16 would turn round.
  @Test func canonical() throws {
    let value: JSONValue = [
      "\u{10000}": 1, "\u{FFFF}": 2, "a": [["z": 1, "b": .decimal("1.0")]], "Z": .null, "aa": "é\u{7F}", "": true,
    ]
    let text = String(decoding: value.canonical, as: UTF8.self)
    #expect(
      text == "{\"\":true,\"Z\":null,\"a\":[{\"b\":1.0,\"z\":1}],\"aa\":\"é\u{7F}\",\"\u{FFFF}\":2,\"\u{10000}\":1}")
    #expect(try JSONParser.parse(text).canonical == value.canonical)
  }

  /// Composed and decomposed letters stay two members with two places.
  @Test func canonicalKeepsLookAlikes() {
    let one: JSONValue = ["\u{E9}": 1, "e\u{301}": 2]
    let other: JSONValue = ["e\u{301}": 2, "\u{E9}": 1]
    #expect(one.object?.members.count == 2)
    #expect(one.canonical == other.canonical)
    #expect(String(decoding: one.canonical, as: UTF8.self).unicodeScalars.first { $0 != "{" && $0 != "\"" } == "e")
  }

  @Test(arguments: [UInt64.random(in: 0 ... .max), 1, 2, 3]) func roundTrip(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<1_000 {
      let value = random.json()
      #expect(try JSONParser.parse(value.encoded) == value, "seed \(seed)")
      #expect(try JSONParser.parse(value.pretty) == value, "seed \(seed)")
      #expect(try JSONParser.parse(value.canonical).canonical == value.canonical, "seed \(seed)")
      #expect(try JSONParser.parse(value.canonical).canonical == shuffled(value, &random).canonical, "seed \(seed)")
    }
  }

  private func shuffled(_ value: JSONValue, _ random: inout SeededGenerator) -> JSONValue {
    switch value {
    case .array(let elements): return .array(elements.map { shuffled($0, &random) })
    case .object(let object):
      let members = object.members.map { ($0.name, shuffled($0.value, &random)) }
      return .object(JSONObject(members.shuffled(using: &random)))
    default: return value
    }
  }
}
