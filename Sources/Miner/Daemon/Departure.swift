import Clocks
import Marketplace

/// When a miner that was told to go may go. A value; the caller reads the clock and says what the miner holds.
///
/// - Told once, it *drains*: it goes when nothing is held. Without a connection, results that could not be delivered
///   are kept while a lease of theirs may live, and ``patience`` longer.
/// - Told twice, it *leaves*: what runs is ended within ``grace``. Reports are waited for at most ``reportPatience``,
///   and without a connection not at all.
/// - Told three times, it goes at once.
struct Departure: Hashable, Sendable {
  /// What the operator has asked for.
  enum Order: Int, Hashable, Sendable, CaseIterable {
    case stay, drain, leave, atOnce
  }

  /// What the miner holds now.
  struct Holdings: Hashable, Sendable {
    /// Tries whose program runs, or whose start is being prepared.
    var payloads = 0
    /// Tries that have ended and are not settled: what they left is only here.
    var results = 0
    /// Tries that never ran and are being given back.
    var refusals = 0
    var isConnected = false
    /// Until when a lease of these is certainly ours.
    var leasedUntil: MonotonicTime?

    var isEmpty: Bool { payloads + results + refusals == 0 }
  }

  let patience: Seconds
  let grace: Seconds
  let reportPatience: Seconds

  private(set) var order = Order.stay
  private var leaveSince: MonotonicTime?
  /// Since when nothing runs any more and only reports are held.
  private var idleSince: MonotonicTime?
  /// Since when, besides, there is nobody to report to.
  private var strandedSince: MonotonicTime?

  init(patience: Seconds, grace: Seconds, reportPatience: Seconds) {
    self.patience = patience
    self.grace = grace
    self.reportPatience = reportPatience
  }

  /// The operator asks once more.
  mutating func ask(at now: MonotonicTime) {
    order = Order(rawValue: order.rawValue + 1) ?? .atOnce
    if order == .leave { leaveSince = now }
  }

  /// Whether the miner goes now, whatever it holds.
  mutating func isDue(_ holdings: Holdings, at now: MonotonicTime) -> Bool {
    idleSince = holdings.payloads == 0 ? idleSince ?? now : nil
    strandedSince = holdings.payloads == 0 && !holdings.isConnected ? strandedSince ?? now : nil
    switch order {
    case .stay: return false
    case .drain: return holdings.isEmpty || isHopeless(holdings, at: now)
    case .leave:
      if holdings.isEmpty || strandedSince != nil { return true }
      if let idleSince, now >= idleSince + reportPatience { return true }
      return leaveSince.map { now >= $0 + grace + reportPatience } ?? false
    case .atOnce: return true
    }
  }

  /// Nobody will take the results any more. What never ran needs nobody: its lease just ends.
  private func isHopeless(_ holdings: Holdings, at now: MonotonicTime) -> Bool {
    guard let since = strandedSince else { return false }
    guard holdings.results > 0 else { return true }
    return now >= max(since, holdings.leasedUntil ?? since) + patience
  }
}

/// The miner went without having delivered results of jobs that had ended.
public struct UndeliveredResults: Error, Hashable, Sendable, CustomStringConvertible {
  /// The folders that hold them; the next start of a miner in this work directory removes them.
  public let folders: [String]

  public var description: String {
    "\(folders.count) finished result\(folders.count == 1 ? "" : "s") could not be delivered and lie, until the next "
      + "start, in \(folders.prefix(10).joined(separator: ", "))" + (folders.count > 10 ? ", …" : "")
  }
}
