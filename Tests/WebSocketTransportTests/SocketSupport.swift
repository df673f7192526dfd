import Glibc
import NIOCore
import WebSocket

@testable import WebSocketTransport

/// A server's connection on one end of a socket pair, with as little room in the kernel as there can be; the test holds
/// the other end.
final class SocketRig: Sendable {
  let loop = SocketLoops.next()
  let journal = Journal()
  let set = SocketSet()
  let connection: WebSocketConnection
  let peer: CInt

  init(
    configuration: WebSocketConfiguration = WebSocketConfiguration(compression: nil), deflate: DeflateAgreement? = nil,
    octets: [UInt8] = [], room: CInt = 4096, onText: @escaping @Sendable (WebSocketConnection) -> Void = { _ in }
  ) throws {
    var ends: [CInt] = [-1, -1]
    // A process that another test starts meanwhile must not hold it open.
    let kind = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw ChannelError.eof }
    for end in ends {
      var size = room
      setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<CInt>.size))
    }
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    peer = ends[1]
    connection = WebSocketConnection(
      eventLoop: loop, remoteAddress: nil, subprotocol: nil, compression: deflate)
    let (socket, loop, connection, journal, set) = (ends[0], loop, connection, journal, set)
    set.opened()
    try loop.submit {
      let endpoint = WebSocketEndpoint(
        role: .server, configuration: Shared(configuration), connection: connection,
        resources: LoopResources(eventLoop: loop), session: JournalSession(journal, onText: onText))
      SocketCarrier(socket: socket, loop: loop, endpoint: endpoint, set: set).start(
        with: octets.isEmpty ? [] : [ByteBuffer(bytes: octets)])
    }.wait()
  }

  deinit { close(peer) }

  /// Runs on the connection's loop.
  func onLoop<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
    try loop.submit(body).wait()
  }

  func say(_ bytes: [UInt8]) { _ = send(peer, bytes, bytes.count, CInt(MSG_NOSIGNAL)) }

  /// The next `count` octets; fewer when the connection ends before.
  func read(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65536)
    while bytes.count < count {
      let got = recv(peer, &piece, min(piece.count, count - bytes.count), 0)
      guard got > 0 else { break }
      bytes += piece[..<got]
    }
    return bytes
  }

  func readToEnd() -> [UInt8] { read(.max) }

  func shutDown() { shutdown(peer, CInt(SHUT_WR)) }
}

/// An unmasked frame as a server sends it, written by hand.
func serverFrame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
  let count = payload.count
  if count < 126 { return [first, UInt8(count)] + payload }
  if count < 65536 { return [first, 126, UInt8(count >> 8), UInt8(count & 0xFF)] + payload }
  return [first, 127] + (0..<8).map { UInt8(truncatingIfNeeded: count >> (56 - 8 * $0)) } + payload
}
