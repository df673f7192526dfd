import Clocks
import JSON
import Marketplace
import Synchronization

/// How far a transfer is, on a terminal; at most ten times a second.
final class TransferBar: Sendable {
  private let context: CommandContext
  private let isShown: Bool
  private let lastDrawn = Mutex<Timestamp?>(nil)

  init(_ session: ClientSession) {
    context = session.context
    isShown = session.context.isErrorTerminal && !session.isQuiet && session.context.environment["TERM"] != "dumb"
  }

  func show(_ done: Int64, of total: Int64) {
    guard isShown, total > 0 else { return }
    let now = context.clock.now
    let isDue = lastDrawn.withLock { last in
      guard last.map({ now.millisecondsSince($0) >= 100 }) ?? true else { return false }
      last = now
      return true
    }
    guard isDue else { return }
    let percent = Int(Double(done) / Double(total) * 100)
    let text = "\(percent)% \(Printable.bytes(done)) of \(Printable.bytes(total))"
    try? context.errors.text("\r\u{1B}[2K" + Printable.cut(text, to: context.width - 1))
  }

  func clear() {
    if isShown, lastDrawn.withLock({ $0 != nil }) { try? context.errors.text("\r\u{1B}[2K") }
  }
}

enum JSONText {
  static func quoted(_ text: String) -> String { JSONValue.string(text).text }
}
