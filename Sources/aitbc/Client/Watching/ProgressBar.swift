import Marketplace

/// The bar's text, without control sequences.
enum ProgressBar {
  struct State: Hashable {
    var status: String
    /// 0-100.
    var progress: Int
    var message: String?
    /// Seconds since the start; nil before it.
    var elapsed: Int64?
    /// Seconds still expected, by the coordinator's estimate or by the rate so far.
    var remaining: Int64?
  }

  /// One line of at most `width` characters.
  static func line(_ state: State, width: Int) -> String {
    var right = " \(state.progress)%"
    if let elapsed = state.elapsed { right += " \(Printable.duration(elapsed))" }
    if let remaining = state.remaining { right += " ETA \(Printable.duration(remaining))" }
    if let elapsed = state.elapsed, elapsed > 0, state.progress > 0 {
      let hundredths = Int64(state.progress) * 100 / elapsed
      if hundredths > 0 { right += " \(hundredths / 100).\(hundredths / 10 % 10)\(hundredths % 10)%/s" }
    }
    let cells = max(10, min(30, width / 4))
    let full = max(0, min(100, state.progress)) * cells / 100
    let bar = "[" + String(repeating: "#", count: full) + String(repeating: "-", count: cells - full) + "]"
    let message = state.message.map { "  " + Printable.line($0) } ?? ""
    return Printable.cut(state.status + " " + bar + right + message, to: max(1, width - 1))
  }

  /// Seconds left at the rate so far; nil before there is one.
  static func remaining(progress: Int, elapsed: Int64) -> Int64? {
    guard (1..<100).contains(progress), elapsed > 0 else { return nil }
    return elapsed * Int64(100 - progress) / Int64(progress)
  }
}
