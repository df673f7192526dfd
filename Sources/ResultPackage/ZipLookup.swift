/// Finds single files in an archive that this project wrote and has kept, without holding its directory in memory.
///
/// The directory is read from front to back in small pieces, up to the name that is asked for. Only the record found is
/// checked; who does not know where an archive comes from uses `ZipReader`.
public struct ZipLookup {
  private static let pieceSize = 64 * 1024

  private let source: any RandomAccessSource
  private let end: ZipEnd

  /// Reads the archive's end.
  public init(_ source: any RandomAccessSource) throws {
    self.source = source
    end = try ZipDirectory.end(of: source).end
  }

  /// The entry of that name, nil when there is none.
  public func entry(named name: String) throws -> ZipEntry? {
    let wanted = Array(name.utf8)
    var window: [UInt8] = []
    var start = 0
    var next = end.directoryOffset
    let limit = end.directoryOffset + end.directorySize
    while true {
      if let length = Self.recordLength(window, start) {
        let record = Array(window[start..<start + length])
        let found = record[ZipFormat.centralSize...].prefix(Self.nameLength(record, 0))
        if found.elementsEqual(wanted) {
          var parser = CentralParser(bytes: record, limits: ZipLimits())
          return try parser.parse(count: 1).first
        }
        // Names ascend.
        guard found.lexicographicallyPrecedes(wanted) else { return nil }
        start += length
      } else {
        guard next < limit else {
          guard start == window.count else { throw ZipRefusal.truncatedDirectory }
          return nil
        }
        window.removeFirst(start)
        start = 0
        let count = Int(min(UInt64(Self.pieceSize), limit - next))
        window += try source.bytes(at: next, count: count)
        next += UInt64(count)
      }
    }
  }

  /// The length of the record that begins at `start`; nil when not all of it is here.
  private static func recordLength(_ window: [UInt8], _ start: Int) -> Int? {
    guard window.count - start >= ZipFormat.centralSize else { return nil }
    let length =
      ZipFormat.centralSize + nameLength(window, start) + Int(window.littleEndian(at: start + 30, as: UInt16.self))
      + Int(window.littleEndian(at: start + 32, as: UInt16.self))
    return window.count - start >= length ? length : nil
  }

  private static func nameLength(_ record: [UInt8], _ start: Int) -> Int {
    Int(record.littleEndian(at: start + 28, as: UInt16.self))
  }
}
