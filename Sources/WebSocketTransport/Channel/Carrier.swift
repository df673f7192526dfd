import NIOCore

/// What an endpoint stands on: a NIO channel, or a socket of its own. Everything on the connection's event loop.
///
/// A carrier starts its endpoint, hands it what arrives, tells it what was written, and in the end that it is over.
protocol Carrier: AnyObject {
  /// The endpoint's socket still belongs to this connection.
  var isActive: Bool { get }
  /// How far the peer's kernel is; nil where nobody knows.
  var progress: SocketProgress? { get }
  /// Writes what the socket did not take directly, in order, and calls ``WebSocketEndpoint/written(_:)`` as it goes.
  func write(_ buffers: [ByteBuffer])
  /// False: takes nothing from the socket, so that TCP slows the peer down.
  func setReading(_ reads: Bool)
  /// Tells the peer that nothing follows; called when everything was written.
  func closeOutput()
  /// Gives the socket back at once; ``WebSocketEndpoint/carrierEnded()`` follows.
  func close()
}

/// Bytes on their way to a peer.
package struct SocketProgress: Hashable {
  /// What its kernel has acknowledged since the connection began.
  package var taken: Int64
  /// What waits in ours to be sent or acknowledged.
  package var outstanding: Int64
}
