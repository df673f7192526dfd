import Glibc

/// Parses the headers of a central directory.
struct CentralParser {
  private let bytes: [UInt8]
  private let limits: ZipLimits
  private var position = 0
  private var totalSize: UInt64 = 0

  init(bytes: [UInt8], limits: ZipLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  mutating func parse(count: UInt64) throws -> [ZipEntry] {
    guard count <= UInt64(bytes.count / ZipFormat.centralSize) else { throw ZipRefusal.truncatedDirectory }
    var entries: [ZipEntry] = []
    entries.reserveCapacity(Int(count))
    for _ in 0..<count { entries.append(try parseHeader()) }
    guard position == bytes.count else { throw ZipRefusal.notCanonical(record: "end record", field: "entry count") }
    return entries
  }

  private mutating func parseHeader() throws -> ZipEntry {
    let start = position
    guard bytes.count - start >= ZipFormat.centralSize else { throw ZipRefusal.truncatedDirectory }
    guard u32(start) == ZipFormat.centralSignature else { throw ZipRefusal.badSignature(record: "directory header") }
    let nameLength = Int(u16(start + 28))
    let extraLength = Int(u16(start + 30))
    let end = start + ZipFormat.centralSize + nameLength + extraLength + Int(u16(start + 32))
    guard end <= bytes.count else { throw ZipRefusal.truncatedDirectory }
    position = end
    let nameBytes = bytes[(start + ZipFormat.centralSize)...].prefix(nameLength)
    let name = try checkedName(nameBytes, attributes: u32(start + 38))
    let method = try checkedMethod(start, name)
    guard u16(start + 34) == 0 else { throw ZipRefusal.multipleDisks }
    let extra = try zip64Values(bytes[(start + ZipFormat.centralSize + nameLength)...].prefix(extraLength), name)
    let entry = try entry(start, name, method, extra)
    let header = entry.centralHeader
    guard Self.isSame(header, bytes, start..<end) else {
      let field = HeaderField.firstDifference(header, Array(bytes[start..<end]), HeaderField.central)
      throw ZipRefusal.notCanonical(record: "directory header of \(name)", field: field)
    }
    try check(entry)
    return entry
  }

  /// Compares memory: there may be a hundred thousand headers.
  private static func isSame(_ header: [UInt8], _ bytes: [UInt8], _ range: Range<Int>) -> Bool {
    guard header.count == range.count else { return false }
    return header.withUnsafeBytes { left in
      bytes.withUnsafeBytes { right in
        guard let left = left.baseAddress, let right = right.baseAddress else { return range.isEmpty }
        return memcmp(left, right + range.lowerBound, range.count) == 0
      }
    }
  }

  private func entry(_ start: Int, _ name: String, _ method: ZipMethod, _ extra: [UInt64]) throws -> ZipEntry {
    var values = extra[...]
    // The Zip64 field holds, in this order, those values that do not fit.
    func value(_ field: UInt32) throws -> UInt64 {
      guard field == UInt32.max else { return UInt64(field) }
      guard let large = values.popFirst() else {
        throw ZipRefusal.notCanonical(record: "directory header of \(name)", field: "Zip64 field")
      }
      return large
    }
    let size = try value(u32(start + 24))
    let compressedSize = try value(u32(start + 20))
    let offset = try value(u32(start + 42))
    return ZipEntry(
      name: name, method: method, size: size, compressedSize: compressedSize, crc32: u32(start + 16), offset: offset)
  }

  private func checkedMethod(_ start: Int, _ name: String) throws -> ZipMethod {
    guard u16(start + 8) & ZipFormat.flagsEncryption == 0 else { throw ZipRefusal.encrypted(name: name) }
    guard let method = ZipMethod(rawValue: u16(start + 10)) else {
      throw ZipRefusal.unknownMethod(name: name, method: u16(start + 10))
    }
    return method
  }

  private func checkedName(_ bytes: ArraySlice<UInt8>, attributes: UInt32) throws -> String {
    guard let name = String(validating: bytes, as: UTF8.self) else {
      throw ZipRefusal.badName(String(decoding: bytes, as: UTF8.self), .notUTF8)
    }
    switch attributes >> 16 & 0o170000 {
    case 0o120000: throw ZipRefusal.symbolicLink(name: name)
    case 0o040000: throw ZipRefusal.directory(name: name)
    case 0, 0o100000: break
    default: throw ZipRefusal.specialFile(name: name)
    }
    guard attributes & 0x10 == 0 else { throw ZipRefusal.directory(name: name) }
    do {
      try ArchiveName.check(name)
    } catch {
      throw ZipRefusal.badName(name, error)
    }
    return name
  }

  private func zip64Values(_ extra: ArraySlice<UInt8>, _ name: String) throws -> [UInt64] {
    guard !extra.isEmpty else { return [] }
    let field = Array(extra)
    guard field.count >= 4 else { throw ZipRefusal.truncatedDirectory }
    let id = field.littleEndian(at: 0, as: UInt16.self)
    guard id == ZipFormat.zip64ExtraID else { throw ZipRefusal.unexpectedExtraField(name: name, id: id) }
    let length = Int(field.littleEndian(at: 2, as: UInt16.self))
    if field.count >= 4 + length + 4 {
      throw ZipRefusal.unexpectedExtraField(name: name, id: field.littleEndian(at: 4 + length, as: UInt16.self))
    }
    guard field.count == 4 + length, length % 8 == 0, length <= 24 else {
      throw ZipRefusal.notCanonical(record: "directory header of \(name)", field: "Zip64 field")
    }
    return stride(from: 4, to: field.count, by: 8).map { field.littleEndian(at: $0, as: UInt64.self) }
  }

  private mutating func check(_ entry: ZipEntry) throws {
    if entry.method == .stored && entry.size != entry.compressedSize { throw ZipRefusal.sizeMismatch(name: entry.name) }
    guard entry.size <= limits.entrySize else {
      throw ZipRefusal.entryTooLarge(name: entry.name, size: entry.size, limit: limits.entrySize)
    }
    let (total, overflow) = totalSize.addingReportingOverflow(entry.size)
    guard !overflow, total <= limits.totalSize else { throw ZipRefusal.totalTooLarge(limit: limits.totalSize) }
    totalSize = total
    let slack: UInt64 = 1 << 20
    if entry.size > slack && (entry.size - slack) / limits.ratio > entry.compressedSize {
      throw ZipRefusal.ratioTooHigh(name: entry.name)
    }
  }

  private func u16(_ offset: Int) -> UInt16 { bytes.littleEndian(at: offset) }
  private func u32(_ offset: Int) -> UInt32 { bytes.littleEndian(at: offset) }
}

/// Where the fields of headers begin, to name the one that is wrong.
enum HeaderField {
  static let central: [(offset: Int, name: String)] = [
    (0, "signature"), (4, "version made by"), (6, "version needed"), (8, "flags"), (10, "method"), (12, "time"),
    (14, "date"), (16, "CRC-32"), (20, "compressed size"), (24, "size"), (28, "name length"),
    (30, "extra field length"), (32, "comment length"), (34, "disk"), (36, "internal attributes"),
    (38, "external attributes"), (42, "offset"), (46, "name or extra field"),
  ]
  static let local: [(offset: Int, name: String)] = [
    (0, "signature"), (4, "version needed"), (6, "flags"), (8, "method"), (10, "time"), (12, "date"), (14, "CRC-32"),
    (18, "compressed size"), (22, "size"), (26, "name length"), (28, "extra field length"), (30, "name or extra field"),
  ]

  static func firstDifference(
    _ left: [UInt8], _ right: [UInt8], _ table: [(offset: Int, name: String)]
  ) -> String {
    let index = zip(left, right).enumerated().first { $0.element.0 != $0.element.1 }?.offset
    let offset = index ?? min(left.count, right.count)
    return table.last { $0.offset <= offset }?.name ?? "length"
  }
}
