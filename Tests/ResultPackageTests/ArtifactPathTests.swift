import ResultPackage
import Testing

struct ArtifactPathTests {
  @Test(arguments: [
    "a", "a/b/c.txt", "résumé.txt", "re\u{301}sume", "結果/図 1.png", "a b", "...", ".hidden", "a..b", "CON", "ab:c",
    "é:c",
    "1:", "~", "-rf", "\u{A0}", "a\u{202E}b", "*?<>|\"",
  ])
  func accepts(path: String) throws { #expect(try ArtifactPath(validating: path).string == path) }

  static let refused: [(String, ArtifactPathError)] = [
    ("", .empty), ("/", .absolute), ("/etc/passwd", .absolute), ("//host/share", .absolute), ("a/", .emptySegment),
    ("a//b", .emptySegment), (".", .dotSegment), ("..", .dotSegment), ("a/..", .dotSegment), ("a/./b", .dotSegment),
    ("../a", .dotSegment), ("a\\b", .backslash), ("..\\a", .backslash), ("C:", .drive), ("c:a", .drive),
    ("z:/x/y", .drive), ("C:/a", .drive),
    ("a\0b", .controlCharacter(byte: 0, offset: 1)), ("a\nb", .controlCharacter(byte: 10, offset: 1)),
    ("\u{1B}[31m", .controlCharacter(byte: 0x1B, offset: 0)), ("a\u{7F}", .controlCharacter(byte: 0x7F, offset: 1)),
    ("a\u{85}b", .controlCharacter(byte: 0x85, offset: 1)), ("\u{9F}", .controlCharacter(byte: 0x9F, offset: 0)),
  ]

  @Test(arguments: refused)
  func refuses(path: String, reason: ArtifactPathError) {
    #expect(throws: reason) { try ArtifactPath(validating: path) }
  }

  @Test func limitsAtAndOnePast() throws {
    let segment = String(repeating: "a", count: 255)
    _ = try ArtifactPath(validating: segment)
    #expect(throws: ArtifactPathError.segmentTooLong(bytes: 256, limit: 255)) {
      try ArtifactPath(validating: segment + "a")
    }
    let longest = Array(repeating: segment, count: 4).joined(separator: "/") + ""
    #expect(longest.utf8.count == 1023)
    _ = try ArtifactPath(validating: String(longest.dropLast(2)) + "/aa")
    #expect(throws: ArtifactPathError.tooLong(bytes: 1025, limit: 1024)) {
      try ArtifactPath(validating: longest + "/a")
    }
    _ = try ArtifactPath(validating: Array(repeating: "a", count: 32).joined(separator: "/"))
    #expect(throws: ArtifactPathError.tooDeep(segments: 33, limit: 32)) {
      try ArtifactPath(validating: Array(repeating: "a", count: 33).joined(separator: "/"))
    }
  }

  /// Bytes that are no UTF-8: overlong, surrogates, beyond U+10FFFF, cut off, stray.
  @Test(
    arguments: [
      [0xC0, 0xAF], [0xE0, 0x80, 0xAF], [0xF0, 0x80, 0x80, 0xAF], [0xC1, 0xBF], [0xED, 0xA0, 0x80],
      [0xF4, 0x90, 0x80, 0x80],
      [0xE2, 0x82], [0x80], [0xFF], [0x61, 0xFE],
    ] as [[UInt8]])
  func refusesInvalidUTF8(bytes: [UInt8]) {
    #expect(throws: ArtifactPathError.notUTF8) { try ArtifactPath(validating: bytes) }
  }

  @Test func orderAndEqualityAreBytewise() throws {
    let paths = try ["a", "a-b", "a/b", "b", "e\u{301}", "z", "\u{E9}"].map { try ArtifactPath(validating: $0) }
    #expect(paths.shuffled().sorted() == paths)
    #expect(paths[4] != paths[6])
    #expect(Set(paths).count == paths.count)
    #expect(paths[4].caseFolded == paths[6].caseFolded)
  }
}
