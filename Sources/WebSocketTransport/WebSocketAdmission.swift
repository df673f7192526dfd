public import NIOHTTP1
public import WebSocket

/// A program's answer to a request that wants to become a WebSocket and has passed the handshake's own rules.
public enum WebSocketAdmission: Sendable {
  /// Upgrade. The session is made on the connection's event loop.
  /// - headers: added to the 101.
  /// - subprotocol: one of those the client asked for; others are ignored.
  /// - limits: bounds on what this peer may send; nil: those of the configuration.
  case accept(
    session: @Sendable () -> any WebSocketSession, headers: HTTPHeaders = [:], subprotocol: String? = nil,
    limits: Limits? = nil)
  /// Do not upgrade: the request is handled as an ordinary one, which gives the answer (401, 404, …).
  case refuse
}
