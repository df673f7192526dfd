import NIOCore
import WebSocket

/// Connections of one event loop that all get the same frames at the same moment. Sending walks over an array of socket
/// numbers and touches nothing else of a connection whose socket takes the whole frame: at ten thousand connections that
/// is what keeps it as cheap as the system call.
///
/// A connection with something to send of its own, or one that waits for its socket, is *blocked*: what the group sends
/// goes through its queue, behind that. Used on the loop only.
public final class BroadcastGroup {
  /// A connection's place: which lane, and where in it.
  struct Seat {
    let group: BroadcastGroup
    let isCompressed: Bool
    fileprivate(set) var index: Int32
  }

  /// Connections that get the same octets.
  private struct Lane {
    /// -1: blocked.
    var sockets: ContiguousArray<CInt> = []
    var endpoints: ContiguousArray<WebSocketEndpoint> = []

    func write(_ octets: ByteBuffer, late: inout [Straggler]) {
      octets.withUnsafeReadableBytes { bytes in
        sockets.withUnsafeBufferPointer { sockets in
          for index in sockets.indices {
            let socket = sockets[index]
            guard socket >= 0 else {
              late.append((endpoints[index], nil))
              continue
            }
            let written = OutboundQueue.send(bytes, to: socket)
            if written != bytes.count { late.append((endpoints[index], written)) }
          }
        }
      }
    }
  }

  /// A connection whose socket did not take it all: how much it took, or nil when it was not asked.
  private typealias Straggler = (endpoint: WebSocketEndpoint, written: Int?)

  private var plain = Lane()
  private var compressed = Lane()
  private var stragglers: [Straggler] = []

  public init() {}

  /// How many connections are in the group.
  public var count: Int { plain.endpoints.count + compressed.endpoints.count }

  // MARK: Members

  /// Takes a connection in. It may be in one group at a time; one that has ended is not taken.
  /// - Returns: whether it was taken.
  @discardableResult
  public func add(_ connection: WebSocketConnection) -> Bool {
    guard let endpoint = connection.endpoint, endpoint.seat == nil, endpoint.machine.role == .server else {
      return false
    }
    let isCompressed = endpoint.machine.sharesCompression
    endpoint.seat = Seat(group: self, isCompressed: isCompressed, index: 0)
    withLane(isCompressed) { lane in
      endpoint.seat?.index = Int32(lane.endpoints.count)
      lane.sockets.append(endpoint.outbound.totalBytes == 0 ? endpoint.laneSocket : -1)
      lane.endpoints.append(endpoint)
    }
    return true
  }

  /// Lets a connection go; nothing happens when it is not in the group.
  public func remove(_ connection: WebSocketConnection) {
    if let endpoint = connection.endpoint { remove(endpoint) }
  }

  func remove(_ endpoint: WebSocketEndpoint) {
    guard let seat = endpoint.seat, seat.group === self else { return }
    endpoint.seat = nil
    withLane(seat.isCompressed) { lane in
      let index = Int(seat.index)
      guard let last = lane.endpoints.popLast(), let socket = lane.sockets.popLast(), last !== endpoint else { return }
      lane.endpoints[index] = last
      lane.sockets[index] = socket
      last.seat?.index = seat.index
    }
  }

  /// What the group sends must queue behind something.
  func block(_ endpoint: WebSocketEndpoint) { set(-1, for: endpoint) }

  /// Nothing is queued any more.
  func unblock(_ endpoint: WebSocketEndpoint) { set(endpoint.laneSocket, for: endpoint) }

  private func set(_ socket: CInt, for endpoint: WebSocketEndpoint) {
    guard let seat = endpoint.seat else { return }
    withLane(seat.isCompressed) { $0.sockets[Int(seat.index)] = socket }
  }

  private func withLane(_ isCompressed: Bool, _ body: (inout Lane) -> Void) {
    if isCompressed { body(&compressed) } else { body(&plain) }
  }

  // MARK: Sending

  /// Sends a frame to every member, behind all that was sent to it before. Members may leave meanwhile.
  public func send(_ frame: EncodedFrame) {
    if !plain.endpoints.isEmpty { send(frame, as: frame.plain, toCompressed: false) }
    if let first = compressed.endpoints.first {
      let octets = frame.compressed(threshold: first.machine.threshold, pool: first.resources.pool)
      send(frame, as: octets, toCompressed: true)
    }
  }

  private func send(_ frame: EncodedFrame, as octets: ByteBuffer, toCompressed isCompressed: Bool) {
    // Collected first: sessions are told below, and may leave.
    var late = stragglers
    stragglers = []
    withLane(isCompressed) { lane in lane.write(octets, late: &late) }
    for (endpoint, written) in late {
      if let written { endpoint.wrote(written, of: octets) } else { endpoint.send(frame) }
    }
    late.removeAll(keepingCapacity: true)
    stragglers = late
  }
}
