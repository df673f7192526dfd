public import Marketplace

/// Log bytes on a miner's channel, as one binary message:
///
///     byte  0      1 (kind: log)
///     byte  1      1 stdout, 2 stderr
///     byte  2      length of the lease token, L
///     bytes 3…     the lease token, L bytes
///     8 bytes      offset of the first byte in that try's stream, big endian
///     the rest     the bytes, at least 1 and at most ``maximumData``
public struct LogChunk: Hashable, Sendable {
  /// 64 KiB a message: small enough that heartbeats never wait behind it.
  public static let maximumData = 65_536

  public var lease: String
  public var stream: LogStream
  public var offset: Int64
  public var data: [UInt8]

  public init(lease: String, stream: LogStream, offset: Int64, data: [UInt8]) {
    self.lease = lease
    self.stream = stream
    self.offset = offset
    self.data = data
  }

  public var encoded: [UInt8] {
    var bytes: [UInt8] = [1, stream == .stdout ? 1 : 2, UInt8(truncatingIfNeeded: lease.utf8.count)]
    bytes.reserveCapacity(data.count + lease.utf8.count + 11)
    bytes.append(contentsOf: lease.utf8)
    for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: offset >> shift)) }
    bytes.append(contentsOf: data)
    return bytes
  }

  /// Nil for anything that ``encoded`` would not make.
  public init?(_ bytes: some RandomAccessCollection<UInt8>) {
    let bytes = Array(bytes)
    guard bytes.count > 11, bytes[0] == 1, bytes[1] == 1 || bytes[1] == 2 else { return nil }
    let start = 3 + Int(bytes[2])
    guard bytes[2] > 0, bytes.count > start + 8, bytes.count - start - 8 <= Self.maximumData,
      let lease = String(validating: bytes[3..<start], as: UTF8.self)
    else { return nil }
    let offset = bytes[start..<(start + 8)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard let offset = Int64(exactly: offset) else { return nil }
    self.init(
      lease: lease, stream: bytes[1] == 1 ? .stdout : .stderr, offset: offset, data: Array(bytes[(start + 8)...]))
  }
}
