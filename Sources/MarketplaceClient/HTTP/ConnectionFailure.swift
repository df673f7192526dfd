/// Why an exchange with the coordinator did not end well, where neither the system nor TLS says it.
enum ConnectionFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// No connection within ``ClientConfiguration/connectTimeout``, the TLS handshake included.
  case connectTimeout
  /// The peer neither sent nor took anything for ``ClientConfiguration/silenceTimeout``.
  case silence
  /// The time given for the call is over.
  case deadline
  /// The connection ended before the answer did.
  case closedEarly
  /// The connection had ended before anything was sent: another one may be tried.
  case notSent
  /// A connection that had served before ended without an answer. What may be repeated may be tried on another
  /// (RFC 9110 §9.2.2).
  case unanswered
  /// What came is not HTTP/1.1.
  case malformed(String)
  /// The transport was shut down.
  case shutDown

  var description: String {
    switch self {
    case .connectTimeout: "no connection within the time allowed"
    case .silence, .deadline: "no answer within the time allowed"
    case .closedEarly, .unanswered: "the connection was closed before the answer was complete"
    case .notSent: "the connection was closed"
    case .malformed(let what): "the answer is not HTTP: \(what)"
    case .shutDown: "the client was shut down"
    }
  }
}
