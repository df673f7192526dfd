import Clocks
import Marketplace
import Synchronization

/// How far a transfer is, how fast, and how long it still takes; on a terminal, at most ten times a second.
final class TransferBar: Sendable {
  private struct State {
    var lastDrawn: Timestamp?
    var rate = TransferRate()
  }

  private let context: CommandContext
  private let isShown: Bool
  private let state = Mutex(State())

  init(_ session: ClientSession) {
    context = session.context
    isShown = session.context.isErrorTerminal && !session.isQuiet && session.context.environment["TERM"] != "dumb"
  }

  func show(_ done: Int64, of total: Int64) {
    guard isShown, total > 0 else { return }
    let now = context.clock.now
    let line: String? = state.withLock { state in
      guard state.lastDrawn.map({ now.millisecondsSince($0) >= 100 }) ?? true else { return nil }
      state.lastDrawn = now
      state.rate.note(done, at: now)
      return state.rate.line(of: total)
    }
    guard let line else { return }
    try? context.errors.text("\r\u{1B}[2K" + Printable.cut(line, to: context.width - 1))
  }

  func clear() {
    if isShown, state.withLock({ $0.lastDrawn != nil }) { try? context.errors.text("\r\u{1B}[2K") }
  }
}
