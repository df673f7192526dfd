import JSON
import Testing

/// What RFC 8259 allows, and what comes of it.
@Suite struct ParserAcceptsTests {
  @Test(
    arguments: [
      ("null", .null), ("true", true), ("false", false), (" \t\r\n1 \t\r\n", 1), ("0", 0), ("-1", -1),
      ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
      ("[]", []), ("[ ]", []), ("[1,2]", [1, 2]), ("[[],[[]]]", [[], [[]]]), ("[1 , 2 ]", [1, 2]),
      ("{}", [:]), ("{ }", [:]), (#"{"a":1}"#, ["a": 1]), (#"{ "a" : 1 , "b" : [ ] }"#, ["a": 1, "b": []]),
      (#"{"":0}"#, ["": 0]), (#"{"a":{"a":{"a":1}}}"#, ["a": ["a": ["a": 1]]]),
      (#""""#, ""), (#""a""#, "a"), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
      (#""\u0041\u00e9\u20AC""#, "Aé€"), (#""\uD83D\uDE00""#, "😀"), (#""\ud83d\ude00""#, "😀"),
      (#""\uDBFF\uDFFF""#, "\u{10FFFF}"), (#""\u0000""#, "\0"), (#""\uFFFF""#, "\u{FFFF}"), (#""é€😀""#, "é€😀"),
      ("\"\u{7F}\u{2028}\"", "\u{7F}\u{2028}"), (#""\\u0041""#, "\\u0041"),
    ] as [(String, JSONValue)])
  func value(text: String, expected: JSONValue) throws {
    #expect(try JSONParser.parse(text) == expected)
    #expect(try JSONParser.parse(Array(text.utf8)) == expected)
  }

  /// Numbers that are not 64-bit integers keep every digit.
  @Test(arguments: [
    "-0", "0.0", "0.10", "1e9", "1E9", "1e+9", "1e-9", "-1.5e-3", "0e0", "123456789012345678901234567890",
    "9223372036854775808", "-9223372036854775809", "0.1000000000000000055511151231257827", "1e999999999",
  ])
  func numberKeptExactly(text: String) throws {
    #expect(try JSONParser.parse(text) == .decimal(text))
    #expect(try JSONParser.parse(text).text == text)
    #expect(try JSONParser.parse(text).numberText == text)
  }

  /// A sequence without contiguous storage takes another path.
  @Test func anySequence() throws {
    #expect(try JSONParser.parse(AnySequence(Array("[1]".utf8))) == [1])
  }
}

/// What RFC 8259 does not allow.
@Suite struct ParserRefusesTests {
  @Test(arguments: [
    "", " ", "nul", "nulll", "True", "NULL", "undefined", "NaN", "Infinity", "-Infinity", "'a'", "a", "//\n1", "/**/1",
    "1 2",
    "1,", ",", ":", "]", "}", "01", "-01", "00", "-", "+1", ".5", "1.", "1.e1", "1e", "1e+", "1E-", "0x1", "1_000",
    "1a",
    "--1", "1.2.3", "1e1.5", "[", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1 2]", "[1;2]", "[1}", "[}", "{", "{]", "{1:2}",
    "{a:1}", "{'a':1}", #"{"a""#, #"{"a":"#, #"{"a":}"#, #"{"a":1"#, #"{"a":1,}"#, #"{,"a":1}"#, #"{"a" 1}"#,
    #"{"a":1 "b":2}"#, #"{"a":1]"#, #"{"a","b"}"#, #"{"a":1}}"#, #"[]]"#, #""a"#, #"""#, #""\""#, #""\x41""#, #""\a""#,
    #""\U0041""#, #""\u""#, #""\u12""#, #""\u123""#, #""\u12G4""#, #""\u 123""#, #""\u+123""#, #""a" "b""#,
    "\"\n\"", "\"\t\"", "\"\0\"", "\"\u{1F}\"", "\u{FEFF}1", "1\u{A0}", "\u{B}1", "\u{C}1", "１",
  ])
  func text(_ text: String) { #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(text) } }

  /// Surrogates stand in pairs, the leading one first.
  @Test(arguments: [
    #""\uD83D""#, #""\uDE00""#, #""\uD83D\uD83D""#, #""\uDE00\uD83D""#, #""\uD83Dx""#, #""\uD83D\n""#,
    #""\uD83D\u0041""#,
    #""\uD83D\"#, #""\uD83D\u"#, #""\uD83D\uDE0""#,
  ])
  func halfSurrogate(_ text: String) { #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(text) } }

  /// Stray and missing continuation bytes, overlong forms, surrogates, beyond U+10FFFF (RFC 3629).
  @Test(
    arguments: [
      [0x80], [0xBF], [0xC3], [0xC3, 0x28], [0xE2, 0x82], [0xE2, 0x28, 0xA1], [0xC0, 0x80], [0xC1, 0xBF],
      [0xE0, 0x80, 0x80], [0xF0, 0x80, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80],
      [0xF5, 0x80, 0x80, 0x80], [0xFE], [0xFF], [0xF0, 0x9F, 0x98],
    ] as [[UInt8]])
  func notUTF8(bytes: [UInt8]) {
    let quote = UInt8(ascii: "\"")
    #expect(throws: JSONSyntaxError.self) { try JSONParser.parse([quote] + bytes + [quote]) }
    #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(Array("{\"a".utf8) + bytes + Array("\":1}".utf8)) }
    #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(Array("\"\\n".utf8) + bytes + [quote]) }
    #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(bytes) }
  }

  @Test func saysWhere() {
    let error = #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(#"{"a":1,"b":x}"#) }
    #expect(error?.offset == 11)
    #expect(error?.description == "unexpected character at byte 11")
  }
}
