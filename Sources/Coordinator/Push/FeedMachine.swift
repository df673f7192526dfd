import Clocks
import JSON
import Marketplace
import Wire

/// The decisions of one feed: what to do next, given commands, results and time. A value without I/O; ``FeedSession``
/// moves the bytes.
///
///     anonymous ──auth──▶ authenticating ──▶ loading ──snapshot or resume──▶ live ──▶ closed
///                                               ▲                             │
///                                               └────────── resume ───────────┘
struct FeedMachine {
  enum Phase: Hashable, CaseIterable {
    /// No key yet: market figures only.
    case anonymous
    /// A key is being looked up.
    case authenticating
    /// A snapshot is being read, or whether a resume is possible.
    case loading
    case live
    case closed
  }

  struct Follow {
    var cursor: LogCursor
    let generation: Int
  }

  let scope: FeedScope
  let epoch: String
  let limits: FeedLimits
  let openedAt: MonotonicTime
  var phase: Phase = .anonymous
  var account: AccountID?
  var cursor = Cursor()
  /// Where the client wants to go on; nil: from a snapshot.
  var resume: FeedResume?
  /// The resume was refused: a `reset` goes before the snapshot.
  var mustReset = false
  /// Rises with every ``load()``: older results under way are worthless then.
  var generation = 0
  var followGeneration = 0
  var isReadingHistory = false
  var isReadingLog = false
  /// The job of a job's feed has ended and the client knows.
  var hasEnded = false
  var follows: [Follow] = []
  /// Whose turn it is among `follows`.
  var logTurn = 0
  var rate = InboundRate()
  var malformed = 0
  /// Since when the socket takes nothing.
  var unwritableSince: MonotonicTime?

  init(scope: FeedScope, epoch: String, limits: FeedLimits, resume: FeedResume?, openedAt: MonotonicTime) {
    self.scope = scope
    self.epoch = epoch
    self.limits = limits
    self.resume = resume
    self.openedAt = openedAt
  }

  // MARK: Beginning

  /// The handshake is done; `account` when it carried a key that was checked.
  mutating func opened(account: AccountID?) -> [FeedAction] {
    guard let account else { return [.join(.market), .pump] }
    return authenticated(.account(account))
  }

  mutating func authenticated(_ identity: FeedIdentity) -> [FeedAction] {
    guard phase == .anonymous || phase == .authenticating else { return [] }
    switch identity {
    case .account(let account):
      self.account = account
      return [.join(topic(of: account))] + load()
    case .unknownKey: return refuse("unauthorized", "the API key is not known", close: .unauthorized)
    case .notOwner: return refuse("job_not_found", "no such job", close: .jobNotFound)
    case .full: return refuse("too_many_connections", "the account has too many feeds open", close: .tooManyConnections)
    }
  }

  /// The job of a job's feed.
  var job: JobID? { if case .job(let job) = scope { job } else { nil } }

  private func topic(of account: AccountID) -> TopicKey { job.map(TopicKey.job) ?? .account(account) }

  /// Begins anew: from `resume`, or from a snapshot.
  mutating func load() -> [FeedAction] {
    startLoading()
    guard let resume else { return [.loadSnapshot(generation: generation)] }
    guard resume.epoch == epoch else { return reset() }
    return [.checkResume(generation: generation)]
  }

  /// Begins anew from a snapshot, because what the client has can't be continued.
  mutating func reset() -> [FeedAction] {
    startLoading()
    resume = nil
    mustReset = true
    return [.loadSnapshot(generation: generation)]
  }

  private mutating func startLoading() {
    phase = .loading
    generation += 1
    isReadingHistory = false
    hasEnded = false
  }

  /// - end: the sequence of the event that ended the feed's job, if it has ended and the log still holds it.
  mutating func resumeChecked(
    _ bounds: SequenceBounds, end: Int64?, mark: TopicMark, generation: Int, now: MonotonicTime
  ) -> [FeedAction] {
    guard phase == .loading, generation == self.generation, let resume else { return [] }
    let last = max(bounds.last, mark.published)
    guard resume.after >= 0, resume.after >= bounds.first - 1, resume.after <= last else { return reset() }
    self.resume = nil
    // It missed progress too: the latest of each job is given again.
    cursor.place(
      after: resume.after, at: TopicMark(published: mark.published, endPosition: mark.endPosition, version: 0))
    phase = .live
    if let end, end <= resume.after { hasEnded = true }
    return [.pump] + finishIfDone(at: now)
  }

  mutating func snapshotLoaded(
    _ snapshot: FeedSnapshot, end: Int64?, mark: TopicMark, generation: Int, now: MonotonicTime
  ) -> [FeedAction] {
    guard phase == .loading, generation == self.generation else { return [] }
    if case .job = scope, snapshot.jobs.isEmpty {
      return refuse("job_not_found", "no such job", close: .jobNotFound)
    }
    // A job that has ended already: the snapshot stands just before its end, so that the `end` message follows as new.
    let sequence = min(snapshot.sequence, end.map { $0 - 1 } ?? snapshot.sequence)
    cursor.place(after: sequence, at: mark)
    phase = .live
    if case .job = scope, end == nil, Self.isTerminal(snapshot) { hasEnded = true }
    let actions: [FeedAction] = mustReset ? [.send(.reset(epoch: epoch, sequence: sequence))] : []
    mustReset = false
    return actions + [
      .send(
        .snapshot(epoch: epoch, sequence: sequence, jobs: snapshot.jobs, isTruncated: snapshot.isTruncated)), .pump,
    ] + finishIfDone(at: now)
  }

  /// Its end event was removed from the log with old history.
  private static func isTerminal(_ snapshot: FeedSnapshot) -> Bool {
    snapshot.jobs.first?["status"]?.string.flatMap(JobState.init(rawValue:))?.isTerminal ?? false
  }

  // MARK: Ending

  mutating func close(_ code: FeedCloseCode, _ reason: String) -> [FeedAction] {
    guard phase != .closed else { return [] }
    phase = .closed
    generation += 1
    return [.close(code, reason)]
  }

  /// An `error` message, then the close.
  mutating func refuse(_ code: String, _ message: String, close closeCode: FeedCloseCode) -> [FeedAction] {
    [.send(.error(code: code, message: message))] + close(closeCode, message)
  }

  /// A job's feed closes after its end, when the logs that were asked for are through and a late `subscribe` has had
  /// its chance.
  mutating func finishIfDone(at now: MonotonicTime) -> [FeedAction] {
    guard phase == .live, hasEnded, follows.isEmpty, now >= openedAt + limits.endLinger else { return [] }
    return close(.ended, "the job has ended")
  }

  /// Called about once a second.
  mutating func sweep(at now: MonotonicTime, isWritable: Bool, endPosition: UInt64) -> [FeedAction] {
    guard phase != .closed else { return [] }
    unwritableSince = isWritable ? nil : unwritableSince ?? now
    if let since = unwritableSince, now >= since + limits.unwritable {
      return close(.slow, "took nothing for \(limits.unwritable.whole) s; resume from the last seq")
    }
    return closeIfBehind(endPosition) + finishIfDone(at: now)
  }

  mutating func closeIfBehind(_ endPosition: UInt64) -> [FeedAction] {
    guard phase == .live, cursor.behind(endPosition) > UInt64(limits.eventsBehind) else { return [] }
    return close(.slow, "more than \(limits.eventsBehind) events behind; resume from the last seq")
  }
}
