import ResultPackage
import Testing
import TestRandomness

/// Archives that nobody means well with. Each is refused, and for its own reason.
struct HostileArchiveTests {
  typealias Case = (title: String, reason: ZipRefusal, archive: HostileArchive)

  /// An archive of `a` and `b`, changed.
  static func changed(_ change: (inout HostileArchive) -> Void) -> HostileArchive {
    var archive = HostileArchive(.init("a"), .init("b"))
    change(&archive)
    return archive
  }

  @Test func theUntouchedArchiveIsTaken() throws {
    let reader = try ZipReader(BytesSource(Self.changed { _ in }.bytes))
    #expect(reader.entries.map(\.name) == ["a", "b"])
    #expect(try reader.bytes(of: reader.entries[0]) == [1, 2, 3])
    let deflated = try HostileArchive.Entry.deflated("a", [UInt8](repeating: 65, count: 1000))
    let other = try ZipReader(BytesSource(HostileArchive(deflated).bytes))
    #expect(try other.bytes(of: other.entries[0]) == [UInt8](repeating: 65, count: 1000))
  }

  static let names: [(String, ArtifactPathError)] = [
    ("../evil", .dotSegment), ("a/../../evil", .dotSegment), ("..", .dotSegment), (".", .dotSegment),
    ("./a", .dotSegment), ("a/.", .dotSegment), ("/etc/passwd", .absolute), ("//server/share/a", .absolute),
    ("C:/evil", .drive), ("c:evil", .drive), ("..\\evil", .backslash), ("\\\\server\\a", .backslash),
    ("a//b", .emptySegment), ("a/b/", .emptySegment), ("", .empty), ("a\0.txt", .controlCharacter(byte: 0, offset: 1)),
    ("a\nb", .controlCharacter(byte: 10, offset: 1)), ("\u{1B}]0;x\u{7}", .controlCharacter(byte: 0x1B, offset: 0)),
    ("a\u{7F}", .controlCharacter(byte: 0x7F, offset: 1)), ("a\u{9B}b", .controlCharacter(byte: 0x9B, offset: 1)),
    (String(repeating: "a", count: 256), .segmentTooLong(bytes: 256, limit: 255)),
    (String(repeating: "abc/", count: 300) + "a", .tooLong(bytes: 1201, limit: 1152)),
    (String(repeating: "a/", count: 33) + "a", .tooDeep(segments: 34, limit: 33)),
  ]

  @Test(arguments: names)
  func badNames(name: String, reason: ArtifactPathError) {
    #expect(throws: ZipRefusal.badName(name, reason)) {
      try ZipReader(BytesSource(HostileArchive(.init(name)).bytes))
    }
  }

  /// Overlong, surrogate, beyond the last character, cut off, Latin 1.
  @Test(
    arguments: [
      [0xC0, 0xAE, 0xC0, 0xAE, 0xC0, 0xAF], [0xE0, 0x80, 0xAF], [0xF0, 0x80, 0x80, 0xAF], [0xED, 0xA0, 0x80],
      [0xF4, 0x90, 0x80, 0x80], [0x61, 0xC3], [0xE9, 0x74, 0xE9], [0xFF, 0xFE],
    ] as [[UInt8]])
  func namesThatAreNoUTF8(name: [UInt8]) {
    #expect(throws: ZipRefusal.badName(String(decoding: name, as: UTF8.self), .notUTF8)) {
      try ZipReader(BytesSource(HostileArchive(.init(rawName: name)).bytes))
    }
  }

  static let clashes: [([String], NameClash)] = [
    (["a", "a"], .duplicate("a")), (["A", "a"], .caseFolded("A", "a")), (["x/É", "x/é"], .caseFolded("x/É", "x/é")),
    (["e\u{301}", "\u{E9}"], .caseFolded("e\u{301}", "\u{E9}")), (["b", "a", "b"], .duplicate("b")),
    (["a", "a/b"], .fileAndFolder(file: "a", inside: "a/b")), (["A", "a/b"], .fileAndFolder(file: "A", inside: "a/b")),
    (["a", "a-", "a/b/c"], .fileAndFolder(file: "a", inside: "a/b/c")),
    (["a/b/c", "a/B"], .fileAndFolder(file: "a/B", inside: "a/b/c")),
  ]

  @Test(arguments: clashes)
  func clashingNames(names: [String], clash: NameClash) {
    var archive = HostileArchive()
    archive.entries = names.map { .init($0) }
    #expect(throws: ZipRefusal.nameClash(clash)) { try ZipReader(BytesSource(archive.bytes)) }
  }

  static func mode(_ mode: UInt32) -> [UInt8] { little(mode << 16) }

  static let structures: [Case] = [
    ("symbolic link", .symbolicLink(name: "a"), changed { $0.entries[0].centralFields[38] = mode(0o120777) }),
    ("folder by mode", .directory(name: "a"), changed { $0.entries[0].centralFields[38] = mode(0o040755) }),
    ("folder by DOS bit", .directory(name: "a"), changed { $0.entries[0].centralFields[38] = [0x10] }),
    ("device", .specialFile(name: "a"), changed { $0.entries[0].centralFields[38] = mode(0o020666) }),
    ("block device", .specialFile(name: "a"), changed { $0.entries[0].centralFields[38] = mode(0o060666) }),
    ("pipe", .specialFile(name: "b"), changed { $0.entries[1].centralFields[38] = mode(0o010666) }),
    ("socket", .specialFile(name: "b"), changed { $0.entries[1].centralFields[38] = mode(0o140666) }),
    (
      "set-user-id", notCanonical("a", "external attributes"),
      changed { $0.entries[0].centralFields[38] = mode(0o104755) }
    ),
    ("encrypted", .encrypted(name: "a"), changed { $0.entries[0].centralFields[8] = [1] }),
    ("strongly encrypted", .encrypted(name: "a"), changed { $0.entries[0].centralFields[8] = [0x40] }),
    ("masked headers", .encrypted(name: "a"), changed { $0.entries[0].centralFields[9] = [0x28] }),
    ("bzip2", .unknownMethod(name: "a", method: 12), changed { $0.entries[0].method = 12 }),
    ("LZMA", .unknownMethod(name: "b", method: 14), changed { $0.entries[1].method = 14 }),
    ("deflate64", .unknownMethod(name: "a", method: 9), changed { $0.entries[0].method = 9 }),
    ("AES", .unknownMethod(name: "a", method: 99), changed { $0.entries[0].method = 99 }),
    ("entry on another disk", .multipleDisks, changed { $0.entries[0].centralFields[34] = [1] }),
    ("end on another disk", .multipleDisks, changed { $0.endFields[4] = [1] }),
    ("directory on another disk", .multipleDisks, changed { $0.endFields[6] = [1] }),
    ("fewer entries here than in all", .multipleDisks, changed { $0.endFields[8] = [1] }),
    (
      "Unicode path field", .unexpectedExtraField(name: "a", id: 0x7075),
      changed { $0.entries[0].centralExtra = little(0x7075 as UInt16) + [0, 0] }
    ),
    (
      "time field", .unexpectedExtraField(name: "a", id: 0x5455),
      changed { $0.entries[0].centralExtra = little(0x5455 as UInt16) + [1, 0, 0] }
    ),
    (
      "needless Zip64 field", notCanonical("a", "version needed"),
      changed { $0.entries[0].centralExtra = [1, 0, 0, 0] }
    ),
    (
      "Zip64 field that lacks a value", notCanonical("a", "Zip64 field"),
      changed { $0.entries[0].centralFields[24] = [255, 255, 255, 255] }
    ),
    ("Zip64 field cut off", .truncatedDirectory, changed { $0.entries[0].centralExtra = [1, 0, 8] }),
    (
      "Zip64 field longer than told", notCanonical("a", "Zip64 field"),
      changed { $0.entries[0].centralExtra = [1, 0, 0, 0, 9] }
    ),
    (
      "second field after Zip64", .unexpectedExtraField(name: "a", id: 7),
      changed { $0.entries[0].centralExtra = [1, 0, 0, 0, 7, 0, 0, 0] }
    ),
    ("file comment", notCanonical("a", "comment length"), changed { $0.entries[0].centralComment = [0x63] }),
    ("other time", notCanonical("a", "time"), changed { $0.entries[0].centralFields[12] = [1] }),
    ("other date", notCanonical("a", "date"), changed { $0.entries[0].centralFields[14] = [0x22] }),
    ("other maker", notCanonical("a", "version made by"), changed { $0.entries[0].centralFields[4] = [20, 0] }),
    ("other version", notCanonical("a", "version needed"), changed { $0.entries[0].centralFields[6] = [10] }),
    ("no UTF-8 flag", notCanonical("a", "flags"), changed { $0.entries[0].centralFields[8] = [0, 0] }),
    ("needless descriptor flag", notCanonical("a", "flags"), changed { $0.entries[0].centralFields[8] = [8, 8] }),
    (
      "internal attributes", notCanonical("a", "internal attributes"), changed { $0.entries[0].centralFields[36] = [1] }
    ),
    ("out of order", .outOfOrder(previous: "b", name: "a"), changed { $0.entries.reverse() }),
    ("local name differs", mismatch("a", "name or extra field"), changed { $0.entries[0].localName = [0x78] }),
    ("local CRC differs", mismatch("a", "CRC-32"), changed { $0.entries[0].localFields[14] = [9] }),
    ("local size differs", mismatch("a", "size"), changed { $0.entries[0].localFields[22] = [9] }),
    (
      "local compressed size differs", mismatch("a", "compressed size"), changed { $0.entries[0].localFields[18] = [9] }
    ),
    ("local method differs", mismatch("a", "method"), changed { $0.entries[0].localFields[8] = [8] }),
    ("local flags differ", mismatch("a", "flags"), changed { $0.entries[0].localFields[6] = [1] }),
    ("local time differs", mismatch("a", "time"), changed { $0.entries[0].localFields[10] = [9] }),
    ("local version differs", mismatch("b", "version needed"), changed { $0.entries[1].localFields[4] = [45] }),
    ("local signature broken", mismatch("b", "signature"), changed { $0.entries[1].localFields[0] = [0] }),
    (
      "local extra field", .overlap(name: "b"),
      changed {
        $0.entries[1].localExtra = [1, 0, 0, 0]; $0.entries[1].offset = 30
      }
    ),
    ("two headers, one data", .overlap(name: "b"), changed { $0.entries[1].offset = 0 }),
    ("entry inside another's data", .overlap(name: "b"), changed { $0.entries[1].offset = 32 }),
    ("entry in the directory", .overlap(name: "b"), changed { $0.entries[1].offset = 90 }),
    ("entry beyond the file", .overlap(name: "b"), changed { $0.entries[1].offset = 1_000_000 }),
    ("bytes between entries", .unaccountedBytes(at: 34), changed { $0.entries[0].afterData = [0] }),
    ("bytes before the directory", .unaccountedBytes(at: 68), changed { $0.beforeDirectory = [1, 2] }),
    ("bytes after the directory", .unaccountedBytes(at: 162), changed { $0.beforeEnd = [0] }),
    ("prefix, offsets adjusted", .prefixedData, changed { $0.prefix = Array("#!/bin/sh\n".utf8) }),
    (
      "prefix, offsets not adjusted", .prefixedData,
      changed {
        $0.prefix = [0x4D, 0x5A, 0, 0, 0]; $0.adjustsOffsets = false
      }
    ),
    ("prefix that looks like an entry", .prefixedData, changed { $0.prefix = [0x50, 0x4B, 3, 4] }),
    ("suffix", .trailingData, changed { $0.suffix = [0] }),
    (
      "comment longer than told", .trailingData,
      changed {
        $0.comment = [0x61, 0x62]; $0.endFields[20] = [1, 0]
      }
    ),
    ("comment shorter than told", .noEndRecord, changed { $0.endFields[20] = [1, 0] }),
    ("comment that is no text", .badComment, changed { $0.comment = [0] }),
    ("long comment", .badComment, changed { $0.comment = [UInt8](repeating: 0x61, count: 1025) }),
    ("end record hidden in the comment", .unaccountedBytes(at: 0), changed { $0.comment = HostileArchive().bytes }),
    ("more entries told than there are", .truncatedDirectory, changed { $0.endFields[8] = [3, 0, 3, 0] }),
    (
      "fewer entries told than there are", .notCanonical(record: "end record", field: "entry count"),
      changed { $0.endFields[8] = [1, 0, 1, 0] }
    ),
    ("directory larger than told", .unaccountedBytes(at: 161), changed { $0.endFields[12] = little(93 as UInt32) }),
    (
      "directory beyond the end", .overlap(name: "central directory"),
      changed { $0.endFields[12] = little(95 as UInt32) }
    ),
    (
      "directory's offset beyond the end", .overlap(name: "central directory"),
      changed { $0.endFields[16] = little(1_000_000 as UInt32) }
    ),
    (
      "Zip64 wanted, but not there", .badSignature(record: "Zip64 end record"),
      changed { $0.endFields[8] = [255, 255, 255, 255] }
    ),
    (
      "directory signature broken", .badSignature(record: "directory header"),
      changed { $0.entries[1].centralFields[0] = [0] }
    ),
    ("name longer than the directory", .truncatedDirectory, changed { $0.entries[1].centralFields[28] = [200] }),
    ("stored, sizes differ", .sizeMismatch(name: "a"), changed { $0.entries[0].size = 4 }),
    (
      "larger than the file", .overlap(name: "b"),
      changed { $0.entries[1].centralFields[20] = little(300_000 as UInt32) + little(300_000 as UInt32) }
    ),
    ("no archive", .noEndRecord, changed { $0.endFields[0] = [0] }),
  ]

  static func notCanonical(_ name: String, _ field: String) -> ZipRefusal {
    .notCanonical(record: "directory header of \(name)", field: field)
  }

  static func mismatch(_ name: String, _ field: String) -> ZipRefusal { .headerMismatch(name: name, field: field) }

  @Test func structureIsRefused() {
    for (title, reason, archive) in Self.structures {
      #expect(throws: reason, "\(title)") { try ZipReader(BytesSource(archive.bytes)) }
    }
  }

  /// Archives whose headers agree with each other; the data gives them away.
  @Test func dataIsRefused() throws {
    let plain = [UInt8](repeating: 65, count: 1000)
    let deflated = try HostileArchive.Entry.deflated("a", plain)
    func refused(_ title: String, _ reason: ZipRefusal, _ change: (inout HostileArchive.Entry) -> Void) throws {
      var entry = deflated
      change(&entry)
      let reader = try ZipReader(BytesSource(HostileArchive(entry).bytes))
      #expect(throws: reason, "\(title)") { try reader.bytes(of: reader.entries[0]) }
    }
    try refused("wrong CRC", .checksumMismatch(name: "a")) { $0.crc = 1 }
    try refused("longer than told: a bomb", .sizeMismatch(name: "a")) { $0.size = 999 }
    try refused("told to be empty", .sizeMismatch(name: "a")) { $0.size = 0 }
    try refused("shorter than told", .sizeMismatch(name: "a")) { $0.size = 1001 }
    try refused("bytes after the stream", .dataAfterEnd(name: "a")) { $0.data.append(0) }
    try refused("stream cut off", .corruptData(name: "a")) { $0.data.removeLast() }
    try refused("no stream", .corruptData(name: "a")) { $0.data = [] }
    try refused("reserved block type", .corruptData(name: "a")) { $0.data = [7, 0, 0] }
    try refused("distance too far back", .corruptData(name: "a")) { $0.data = [0x03, 0x02, 0x00] }
    var stored = HostileArchive.Entry("a")
    stored.crc = 1
    let reader = try ZipReader(BytesSource(HostileArchive(stored).bytes))
    #expect(throws: ZipRefusal.checksumMismatch(name: "a")) { try reader.bytes(of: reader.entries[0]) }
  }

  @Test func theCorpusIsLargeEnough() {
    #expect(Self.structures.count + Self.names.count + Self.clashes.count + 8 + 10 >= 80)
  }

  @Test func limitsAtAndOnePast() throws {
    let bytes = try archive([("a", [UInt8](repeating: 0, count: 100)), ("b", [UInt8](repeating: 0, count: 50))])
    func open(_ change: (inout ZipLimits) -> Void) throws {
      var limits = ZipLimits()
      change(&limits)
      _ = try ZipReader(BytesSource(bytes), limits: limits)
    }
    try open { $0.entries = 2 }
    #expect(throws: ZipRefusal.tooManyEntries(count: 2, limit: 1)) { try open { $0.entries = 1 } }
    try open { $0.entrySize = 100 }
    #expect(throws: ZipRefusal.entryTooLarge(name: "a", size: 100, limit: 99)) { try open { $0.entrySize = 99 } }
    try open { $0.totalSize = 150 }
    #expect(throws: ZipRefusal.totalTooLarge(limit: 149)) { try open { $0.totalSize = 149 } }
    try open { $0.directorySize = 94 }
    #expect(throws: ZipRefusal.directoryTooLarge(size: 94, limit: 93)) { try open { $0.directorySize = 93 } }
  }

  @Test func ratioIsLimited() throws {
    let zeros = try archive([("zeros", [UInt8](repeating: 0, count: 4 << 20))])
    _ = try ZipReader(BytesSource(zeros))
    var limits = ZipLimits()
    limits.ratio = 100
    #expect(throws: ZipRefusal.ratioTooHigh(name: "zeros")) { try ZipReader(BytesSource(zeros), limits: limits) }
    let small = try archive([("zeros", [UInt8](repeating: 0, count: 1 << 20))])
    _ = try ZipReader(BytesSource(small), limits: limits)
  }

  @Test func everyTruncationIsRefused() throws {
    let bytes = try archive([("a", Array("hello".utf8)), ("b", [UInt8](repeating: 0, count: 600_000))], comment: "c")
    for length in 0..<bytes.count {
      #expect(throws: ZipRefusal.self, "\(length)") { try ZipReader(BytesSource(Array(bytes[..<length]))) }
    }
  }

  @Test func randomDamageNeverCrashes() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(seed: seed)
    let text = random.text(2000)
    let good = try archive([("a", text), ("b", random.bytes(100)), ("c", [])])
    for _ in 0..<3000 {
      var bytes = good
      for _ in 0...(random.next() % 4) { bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(random.next() & 255) }
      do {
        let reader = try ZipReader(BytesSource(bytes))
        for entry in reader.entries { _ = try reader.bytes(of: entry) }
      } catch is ZipRefusal {}
    }
  }
}
