/// The central directory in the making: what must be kept of each entry until the archive's end, in few bytes.
///
/// Names ascend, so most of them begin like the one before; only the rest is kept. Each entry begins where the one
/// before it ends, so no offsets are kept. With a hundred thousand entries this is a third of the directory itself.
struct DirectoryLog {
  private static let fixedSize = 26

  private var bytes = PiecedBytes()
  private var previous: [UInt8] = []
  private(set) var count = 0
  /// Of the directory in bytes.
  private(set) var size: UInt64 = 0

  /// Adds the entry that follows.
  mutating func append(_ entry: ZipEntry) {
    let name = Array(entry.name.utf8)
    let shared = zip(previous, name).prefix { $0 == $1 }.count
    var record: [UInt8] = []
    record.reserveCapacity(Self.fixedSize + name.count - shared)
    record.append(littleEndian: UInt16(truncatingIfNeeded: shared))
    record.append(littleEndian: UInt16(truncatingIfNeeded: name.count - shared))
    record.append(littleEndian: entry.method.rawValue)
    record.append(littleEndian: entry.crc32)
    record.append(littleEndian: entry.size)
    record.append(littleEndian: entry.compressedSize)
    record.append(contentsOf: name[shared...])
    bytes.append(record)
    previous = name
    count += 1
    size += UInt64(entry.centralHeaderLength)
  }

  /// The entries again, in their order. Throws what `body` throws, and ``ZipWriteError/closed`` when a record can't be
  /// read back.
  func forEach(_ body: (ZipEntry) throws -> Void) throws {
    var name: [UInt8] = []
    var offset: UInt64 = 0
    for piece in bytes.pieces {
      var position = 0
      while position < piece.count {
        let shared = Int(piece.littleEndian(at: position, as: UInt16.self))
        let rest = Int(piece.littleEndian(at: position + 2, as: UInt16.self))
        let end = position + Self.fixedSize + rest
        guard shared <= name.count, let method = ZipMethod(rawValue: piece.littleEndian(at: position + 4)) else {
          throw ZipWriteError.closed
        }
        name.removeSubrange(shared...)
        name += piece[(position + Self.fixedSize)..<end]
        let entry = ZipEntry(
          name: String(decoding: name, as: UTF8.self), method: method, size: piece.littleEndian(at: position + 10),
          compressedSize: piece.littleEndian(at: position + 18), crc32: piece.littleEndian(at: position + 6),
          offset: offset)
        try body(entry)
        offset = entry.end
        position = end
      }
    }
  }
}
