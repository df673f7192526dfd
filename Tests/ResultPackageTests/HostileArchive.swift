import CZlib
import ResultPackage

/// An archive whose every field can be made to lie. Untouched it is one that the reader takes.
struct HostileArchive {
  struct Entry {
    var name: [UInt8]
    var data: [UInt8]
    /// Overrides of fields, by their offset in the header.
    var localFields: [Int: [UInt8]] = [:]
    var centralFields: [Int: [UInt8]] = [:]
    var localExtra: [UInt8] = []
    var centralExtra: [UInt8] = []
    var centralComment: [UInt8] = []
    var localName: [UInt8]?
    var afterData: [UInt8] = []
    var method: UInt16 = 0
    /// The file's size and CRC, when `data` is compressed.
    var size: UInt32?
    var crc: UInt32?
    var offset: UInt32?

    init(_ name: String, _ data: [UInt8] = [1, 2, 3]) {
      self.name = Array(name.utf8)
      self.data = data
    }

    init(rawName: [UInt8]) {
      name = rawName
      data = []
    }
  }

  var entries: [Entry]
  var prefix: [UInt8] = []
  var beforeDirectory: [UInt8] = []
  var beforeEnd: [UInt8] = []
  var endFields: [Int: [UInt8]] = [:]
  var comment: [UInt8] = []
  var suffix: [UInt8] = []
  /// Whether offsets count the prefix.
  var adjustsOffsets = true

  init(_ entries: Entry...) { self.entries = entries }

  var bytes: [UInt8] {
    var file = prefix
    let base = adjustsOffsets ? 0 : prefix.count
    var offsets: [UInt32] = []
    for entry in entries {
      offsets.append(entry.offset ?? UInt32(file.count - base))
      file += local(entry) + entry.data + entry.afterData
    }
    file += beforeDirectory
    let directoryOffset = file.count - base
    for (entry, offset) in zip(entries, offsets) { file += central(entry, offset) }
    let directorySize = file.count - base - directoryOffset
    file += beforeEnd
    var end = little(0x0605_4B50 as UInt32) + [0, 0, 0, 0]
    end += little(UInt16(entries.count)) + little(UInt16(entries.count))
    end += little(UInt32(directorySize)) + little(UInt32(directoryOffset)) + little(UInt16(comment.count))
    return file + overridden(end, endFields) + comment + suffix
  }

  private func local(_ entry: Entry) -> [UInt8] {
    let name = entry.localName ?? entry.name
    var header = little(0x0403_4B50 as UInt32) + little(20 as UInt16) + little(0x800 as UInt16) + little(entry.method)
    header += little(0 as UInt16) + little(0x21 as UInt16) + little(checksum(entry))
    header += little(UInt32(entry.data.count)) + little(entry.size ?? UInt32(entry.data.count))
    header += little(UInt16(name.count)) + little(UInt16(entry.localExtra.count))
    return overridden(header, entry.localFields) + name + entry.localExtra
  }

  private func central(_ entry: Entry, _ offset: UInt32) -> [UInt8] {
    let needed: UInt16 = entry.centralExtra.isEmpty ? 20 : 45
    var header = little(0x0201_4B50 as UInt32) + little(0x032D as UInt16) + little(needed) + little(0x800 as UInt16)
    header += little(entry.method) + little(0 as UInt16) + little(0x21 as UInt16) + little(checksum(entry))
    header += little(UInt32(entry.data.count)) + little(entry.size ?? UInt32(entry.data.count))
    header += little(UInt16(entry.name.count)) + little(UInt16(entry.centralExtra.count))
    header +=
      little(UInt16(entry.centralComment.count)) + [0, 0, 0, 0] + little(0o100644 << 16 as UInt32) + little(offset)
    return overridden(header, entry.centralFields) + entry.name + entry.centralExtra + entry.centralComment
  }

  private func checksum(_ entry: Entry) -> UInt32 {
    entry.crc ?? UInt32(truncatingIfNeeded: crc32_z(0, entry.data, entry.data.count))
  }

  private func overridden(_ header: [UInt8], _ fields: [Int: [UInt8]]) -> [UInt8] {
    var header = header
    for (offset, value) in fields { header.replaceSubrange(offset..<offset + value.count, with: value) }
    return header
  }
}

/// An integer's bytes as ZIP keeps them.
func little<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

extension HostileArchive.Entry {
  /// A deflated entry, whose header tells the truth.
  static func deflated(_ name: String, _ plain: [UInt8]) throws -> HostileArchive.Entry {
    let reader = try ZipReader(BytesSource(try archive([("x", plain)])))
    guard let source = reader.entries.first, source.method == .deflated, source.size <= 512 * 1024 else {
      throw ZipWriteError.badComment
    }
    let bytes = try archive([("x", plain)])
    var entry = HostileArchive.Entry(name, Array(bytes[Int(source.dataOffset)...].prefix(Int(source.compressedSize))))
    entry.method = 8
    entry.size = UInt32(plain.count)
    entry.crc = source.crc32
    return entry
  }
}
