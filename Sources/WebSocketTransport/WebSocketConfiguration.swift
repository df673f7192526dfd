public import NIOCore
public import WebSocket

/// How connections behave; the same for servers and clients.
public struct WebSocketConfiguration: Sendable {
  /// Bounds on what the peer sends.
  public var limits: Limits
  /// permessage-deflate; nil: not offered and not accepted. Default: without context takeover.
  public var compression: DeflateConfiguration?
  /// A ping is sent this often; nil: never. Default 25 s.
  public var pingInterval: TimeAmount?
  /// Any octet of the peer within this time after a ping proves that it lives. Default 10 s.
  public var pongTimeout: TimeAmount
  /// How long the peer may take to answer a close frame, and to close TCP after it. Default 5 s.
  public var closeTimeout: TimeAmount
  /// After a protocol failure what arrives is discarded for this long, so that the peer can still read why (closing at
  /// once would reset the connection). Default 2 s.
  public var lingerTimeout: TimeAmount
  /// Bytes waiting to be sent at which a connection stops being writable. Default 64 KiB.
  public var highWatermark: Int
  /// Bytes at which it is writable again. Default 16 KiB.
  public var lowWatermark: Int
  /// Bytes waiting to be sent past which the connection is dropped. Default 64 MiB.
  public var maximumBufferedBytes: Int
  /// Write to the socket directly where nothing stands between (no TLS), and through NIO's queue only what the socket
  /// does not take. Default true.
  public var sendsDirectly: Bool
  /// A server's upgraded socket leaves its NIO channel for an event loop of our own where nothing stands between (no
  /// TLS): a connection costs about half the memory then. Default true.
  public var leavesChannel: Bool
  /// Bytes that the kernel may hold unsent for a socket that left its channel. Default 128 KiB. Without it a thousand
  /// peers that do not read take gigabytes, and then the kernel slows everybody down.
  public var kernelBacklog: Int

  public init(
    limits: Limits = Limits(), compression: DeflateConfiguration? = DeflateConfiguration(),
    pingInterval: TimeAmount? = .seconds(25), pongTimeout: TimeAmount = .seconds(10),
    closeTimeout: TimeAmount = .seconds(5), lingerTimeout: TimeAmount = .seconds(2), highWatermark: Int = 64 << 10,
    lowWatermark: Int = 16 << 10, maximumBufferedBytes: Int = 64 << 20, sendsDirectly: Bool = true,
    leavesChannel: Bool = true, kernelBacklog: Int = 128 << 10
  ) {
    self.limits = limits
    self.compression = compression
    self.pingInterval = pingInterval
    self.pongTimeout = pongTimeout
    self.closeTimeout = closeTimeout
    self.lingerTimeout = lingerTimeout
    self.highWatermark = highWatermark
    self.lowWatermark = min(lowWatermark, highWatermark)
    self.maximumBufferedBytes = maximumBufferedBytes
    self.sendsDirectly = sendsDirectly
    self.leavesChannel = leavesChannel
    self.kernelBacklog = kernelBacklog
  }
}
