import Clocks
import Marketplace

/// What this miner knows of its leases: until when each is certainly its own. A value; the caller reads the clock.
///
/// All times are this machine's monotonic ones. A renewal counts from the moment when it was *asked for*: the
/// coordinator's own deadline lies later, by as long as the message took. So whoever stops at the deadlines here
/// stops before the coordinator can give the job away.
struct LeaseLedger {
  private struct Entry {
    var deadline: MonotonicTime
    var term: Seconds
    /// Its end was told; not again until it is renewed.
    var isFenced = false
  }

  private struct Question {
    var asked: MonotonicTime
    var leases: Set<String>
  }

  /// Leases in one renewal, so that its message stays small.
  static let renewalBatch = 1000
  /// Unanswered renewals remembered; older ones count as answered by none.
  static let maximumQuestions = 64

  /// How long before a deadline the payload must be stopped. For short leases a quarter of their term at most.
  let margin: Seconds
  private var entries: [String: Entry] = [:]
  private var questions: [Question] = []
  /// When the latest question was asked that was answered over this connection. What comes after the answer was sent
  /// after it.
  private var heard: MonotonicTime?

  init(margin: Seconds) { self.margin = margin }

  var leases: [String] { entries.keys.sorted() }

  /// A lease is ours for `milliseconds` from `start` on. Nothing shortens it.
  mutating func grant(_ lease: String, milliseconds: Int64, from start: MonotonicTime) {
    let term = Seconds(milliseconds: max(0, milliseconds))
    let deadline = max(start + term, entries[lease]?.deadline ?? start)
    entries[lease] = Entry(deadline: deadline, term: term)
  }

  /// An assignment came in, which may have been under way for long. It was sent after the last answer, and that after
  /// its question was asked: from then on the lease is certainly ours.
  mutating func assigned(_ lease: String, milliseconds: Int64, at now: MonotonicTime) {
    grant(lease, milliseconds: milliseconds, from: heard ?? now)
  }

  /// Whether an assignment that comes in now may be so old that its lease would soon be over: nothing was heard for half
  /// a term, as when the machine slept. Five renewals are due in a term.
  func doubts(milliseconds: Int64, at now: MonotonicTime) -> Bool {
    guard let heard else { return false }
    return now.milliseconds - heard.milliseconds > milliseconds / 2
  }

  /// A connection stands whose greeting was asked for then.
  mutating func connected(asked: MonotonicTime) { heard = asked }

  mutating func forget(_ lease: String) { entries[lease] = nil }

  /// What to ask for now, in batches; one empty batch when there is nothing, which keeps the miner online.
  mutating func renewal(at now: MonotonicTime) -> [[String]] {
    let all = leases
    var batches = stride(from: 0, to: all.count, by: Self.renewalBatch).map { start in
      Array(all[start..<min(all.count, start + Self.renewalBatch)])
    }
    if batches.isEmpty { batches = [[]] }
    questions += batches.map { Question(asked: now, leases: Set($0)) }
    questions.removeFirst(max(0, questions.count - Self.maximumQuestions))
    return batches
  }

  /// The answer to a renewal. Returns which of our leases are lost; they are forgotten.
  ///
  /// The coordinator answers in order, but also names lost leases unasked, and that word may be older than any question:
  /// what names none but lost ones tells nothing about when we were heard. Only an answer about the very leases of a
  /// question is taken for the answer to it. What can't be told apart counts from the oldest question, which is only
  /// earlier.
  mutating func answered(renewed: [String: Int64], lost: [String]) -> [String] {
    let named = Set(renewed.keys).union(lost)
    let isAnswer = !renewed.isEmpty || lost.isEmpty
    let match = isAnswer ? questions.firstIndex { $0.leases == named } : nil
    let asked = match.map { questions[$0].asked } ?? questions.first?.asked
    if let match { questions.removeFirst(match + 1) }
    if isAnswer, let asked {
      heard = max(heard ?? asked, asked)
      for (lease, milliseconds) in renewed where entries[lease] != nil {
        grant(lease, milliseconds: milliseconds, from: asked)
      }
    }
    let ours = lost.filter { entries[$0] != nil }
    for lease in ours { entries[lease] = nil }
    return ours
  }

  /// Answers to what was asked over a connection that is gone will not come.
  mutating func disconnected() {
    questions.removeAll()
    heard = nil
  }

  /// Leases whose payload must be stopped now; each is told once.
  mutating func fenced(at now: MonotonicTime) -> [String] {
    let due = entries.filter { !$0.value.isFenced && fence($0.value) <= now }.map(\.key).sorted()
    for lease in due { entries[lease]?.isFenced = true }
    return due
  }

  /// Until when the longest of them is certainly ours.
  var latestDeadline: MonotonicTime? { entries.values.map(\.deadline).max() }

  /// When ``fenced(at:)`` has something to tell at the earliest.
  var nextFence: MonotonicTime? { entries.values.filter { !$0.isFenced }.map { fence($0) }.min() }

  /// When others must have stopped the payload if this miner stands still and can't: between its own fence and the
  /// deadline. Nil when the lease is not ours.
  func backstop(of lease: String) -> MonotonicTime? {
    entries[lease].map { MonotonicTime(milliseconds: $0.deadline.milliseconds - margin(of: $0) / 2) }
  }

  private func fence(_ entry: Entry) -> MonotonicTime {
    MonotonicTime(milliseconds: entry.deadline.milliseconds - margin(of: entry))
  }

  private func margin(of entry: Entry) -> Int64 { min(margin.milliseconds, entry.term.milliseconds / 4) }
}
