public import NIOCore
import Synchronization
import WebSocket

/// One message, or a run of messages, framed once for any number of connections of a server. The compressed form is
/// made when the first connection needs it and shared by all (those without context takeover, and the others at the
/// price of their history).
public struct EncodedFrame: Sendable {
  private let storage: Storage

  /// A text message. The bytes must be valid UTF-8.
  public static func text(_ payload: ByteBuffer) -> EncodedFrame { EncodedFrame(kind: .text, payload: payload) }

  /// A text message.
  public static func text(_ payload: String) -> EncodedFrame { text(ByteBuffer(string: payload)) }

  /// A binary message.
  public static func binary(_ payload: ByteBuffer) -> EncodedFrame { EncodedFrame(kind: .binary, payload: payload) }

  /// A run of messages that is sent as one piece.
  public init(joining frames: some Sequence<EncodedFrame>) {
    let frames = Array(frames)
    var plain = ByteBuffer()
    plain.reserveCapacity(frames.reduce(0) { $0 + $1.size })
    for frame in frames { plain.writeImmutableBuffer(frame.storage.plain) }
    storage = Storage(plain: plain, parts: frames.flatMap(\.storage.parts), pieces: frames)
  }

  private init(kind: MessageKind, payload: ByteBuffer) {
    let plain = Self.frame(kind, compressed: false, payload: payload.readableBytesView)
    storage = Storage(plain: plain, parts: [Part(kind: kind, payload: payload)], pieces: [])
  }

  /// Octets on the wire, uncompressed.
  public var size: Int { storage.plain.readableBytes }

  /// Number of messages.
  public var count: Int { storage.parts.count }

  // MARK: For the channel

  struct Part: Sendable {
    let kind: MessageKind
    let payload: ByteBuffer
  }

  var plain: ByteBuffer { storage.plain }
  var parts: [Part] { storage.parts }

  /// The longest payload: whether a connection with a small window may take the compressed form depends on it.
  var longestPayload: Int { storage.parts.reduce(0) { max($0, $1.payload.readableBytes) } }

  /// The compressed form; messages that compression does not make shorter stand in it as they are.
  func compressed(threshold: Int, pool: DeflatePool) -> ByteBuffer {
    if let made = storage.compressed.load() { return made.buffer }
    // Two event loops may both make it; the first one's is kept.
    return storage.compressed.storeIfNil(Compressed(makeCompressed(threshold: threshold, pool: pool))).buffer
  }

  private func makeCompressed(threshold: Int, pool: DeflatePool) -> ByteBuffer {
    guard storage.pieces.isEmpty else {
      var joined = ByteBuffer()
      for piece in storage.pieces { joined.writeImmutableBuffer(piece.compressed(threshold: threshold, pool: pool)) }
      return joined
    }
    guard let part = storage.parts.first, part.payload.readableBytes >= threshold,
      let octets = part.payload.withUnsafeReadableBytes({ try? pool.compress($0) }),
      octets.count < part.payload.readableBytes
    else { return storage.plain }
    return Self.frame(part.kind, compressed: true, payload: octets)
  }

  private static func frame(_ kind: MessageKind, compressed: Bool, payload: some Collection<UInt8>) -> ByteBuffer {
    let header = FrameHeader(
      opcode: kind == .text ? .text : .binary, isCompressed: compressed, payloadLength: payload.count)
    var buffer = ByteBuffer()
    let size = FrameEncoder.frameSize(payloadLength: payload.count, isMasked: false)
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { destination in
      payload.withContiguousStorageIfAvailable {
        FrameEncoder.write(header, payload: UnsafeRawBufferPointer($0), to: destination)
      } ?? 0
    }
    return buffer
  }

  private final class Compressed: Sendable {
    let buffer: ByteBuffer

    init(_ buffer: ByteBuffer) { self.buffer = buffer }
  }

  private final class Storage: Sendable {
    let plain: ByteBuffer
    let parts: [Part]
    /// What a run was joined from, for their compressed forms.
    let pieces: [EncodedFrame]
    let compressed = AtomicLazyReference<Compressed>()

    init(plain: ByteBuffer, parts: [Part], pieces: [EncodedFrame]) {
      self.plain = plain
      self.parts = parts
      self.pieces = pieces
    }
  }
}
