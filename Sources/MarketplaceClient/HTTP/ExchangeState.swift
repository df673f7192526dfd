import NIOHTTP1

/// Where one connection stands: which part of a request was sent, and of its answer received (RFC 9112 §9.3: one
/// exchange at a time).
struct ExchangeState {
  enum Phase: Equatable {
    case idle
    /// `answered`: its head has come, and its body does.
    case exchanging(requestIsSent: Bool, answered: Bool)
    case closed
  }

  /// What became of a part of the answer.
  enum Step: Equatable {
    case head, body
    /// The last part. `reuse`: the connection may carry another exchange.
    case end(reuse: Bool)
    /// A part that no request asked for.
    case violation
  }

  private(set) var phase = Phase.idle
  private var keepsAlive = false

  /// False: there is an exchange, or the connection is closed.
  mutating func begin() -> Bool {
    guard phase == .idle else { return false }
    phase = .exchanging(requestIsSent: false, answered: false)
    return true
  }

  /// Whether the body of the request may go on: it has not ended, and its answer has not begun.
  var wantsBody: Bool { phase == .exchanging(requestIsSent: false, answered: false) }

  /// All of the request was written.
  mutating func requestSent() {
    if case .exchanging(_, let answered) = phase { phase = .exchanging(requestIsSent: true, answered: answered) }
  }

  mutating func received(_ part: HTTPClientResponsePart) -> Step {
    switch (phase, part) {
    case (.exchanging(let sent, false), .head(let head)):
      phase = .exchanging(requestIsSent: sent, answered: true)
      keepsAlive = head.isKeepAlive
      return .head
    case (.exchanging(_, true), .body): return .body
    case (.exchanging(let sent, true), .end):
      // An answer before the request's end is the last on its connection: the rest of the request stands in its way.
      let reuse = sent && keepsAlive
      phase = reuse ? .idle : .closed
      return .end(reuse: reuse)
    default: return .violation
    }
  }

  mutating func close() { phase = .closed }
}
