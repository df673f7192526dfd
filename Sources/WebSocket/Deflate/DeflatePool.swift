/// Compressors for connections without context takeover: they need one only while a message passes, so all connections
/// of an event loop share a few. Not thread-safe: one pool for each loop.
public final class DeflatePool {
  /// Idle inflaters kept; more are freed when they come back. Default 8 (about 40 KiB each).
  public static let maximumIdle = 8

  /// Unmasked octets on their way to a message or an inflater.
  var inputScratch: UnsafeMutableRawBufferPointer { input.bytes }
  /// Where inflaters write before the octets are checked.
  var scratch: UnsafeMutableRawBufferPointer { output.bytes }
  private lazy var input = ScratchBuffer(size: 16 << 10)
  private lazy var output = ScratchBuffer(size: 16 << 10)
  private var deflaters: [Deflater?] = Array(repeating: nil, count: 16)
  private var inflaters: [Inflater] = []

  public init() {}

  /// A compressor without history. It is used for one whole message at a time, so it is never given back.
  func deflater(windowBits: Int) throws(ProtocolFailure) -> Deflater {
    if let deflater = deflaters[windowBits] {
      deflater.reset()
      return deflater
    }
    let deflater = try Deflater(windowBits: windowBits)
    deflaters[windowBits] = deflater
    return deflater
  }

  /// A decompressor without history, for one message.
  func borrowInflater() throws(ProtocolFailure) -> Inflater {
    guard let inflater = inflaters.popLast() else { return try Inflater() }
    inflater.reset()
    return inflater
  }

  func giveBack(_ inflater: Inflater) {
    if inflaters.count < Self.maximumIdle { inflaters.append(inflater) }
  }

  /// Compresses a message with no history, as any connection without context takeover may send it.
  public func compress(_ payload: UnsafeRawBufferPointer, windowBits: Int = 15) throws(ProtocolFailure) -> [UInt8] {
    try deflater(windowBits: windowBits).compress(payload)
  }
}
