public import JSON

/// How a try ended, as the miner or the lease's deadline says.
public enum TryEnd: Hashable, Sendable {
  /// The program ended with status 0 and all it left has arrived.
  case completed(exitCode: Int, result: JSONValue?)
  /// It ended badly.
  case failed(JobError, exitCode: Int?)
  /// The miner would not take it, or gave it back because it drains. Burns no try unless its program was started.
  case refused(reason: String)
  /// The lease ran out.
  case lost(reason: String)
  /// Lost once more, after too many miners were lost with it: no other gets it.
  case quarantined(reason: String)
  /// It was stopped because we asked; no process of it exists.
  case canceled
}

extension Job {
  private mutating func move(_ input: JobInput) throws(TransitionRefused) {
    guard let next = JobTransition.next(state, input) else { throw TransitionRefused(state: state, input: input) }
    state = next
  }

  /// A miner takes it. The try is counted now, so that no fault can start more than `max_tries`.
  public mutating func claim(by miner: MinerID, at now: Timestamp) throws(TransitionRefused) {
    try move(.claim)
    self.miner = miner
    assignedAt = now
    startedAt = nil
    lastTry += 1
    triesUsed += 1
    progress = 0
    progressMessage = nil
  }

  /// Its program runs.
  public mutating func start(at now: Timestamp) throws(TransitionRefused) {
    try move(.start)
    startedAt = now
  }

  /// Takes progress while it runs; lower values and 100 are held at what is known and 99. False when nothing changed.
  public mutating func report(progress value: Int, message: String?) -> Bool {
    guard state == .running || state == .canceling else { return false }
    let next = max(progress, min(99, value))
    guard next != progress || message != progressMessage else { return false }
    progress = next
    progressMessage = message
    return true
  }

  /// The owner wants it stopped. True when that changed anything: a second wish while canceling does not.
  public mutating func requestCancel(
    reason: String?, grace: Seconds, at now: Timestamp
  ) throws(TransitionRefused) -> Bool {
    let before = state
    try move(.requestCancel)
    guard before != .canceling else { return false }
    cancel = CancelRequest(requestedAt: now, reason: reason, grace: grace)
    if state == .canceled { finishCanceled(at: now) }
    return true
  }

  /// Another priority: another place in the queue, and another price. False when it does not wait any more.
  public mutating func reprioritise(to priority: Priority) -> Bool {
    guard state == .pending else { return false }
    rank = FairQueue.reprioritise(rank, from: self.priority, to: priority)
    self.priority = priority
    return true
  }

  /// Its time in the queue is over.
  public mutating func expire(at now: Timestamp) throws(TransitionRefused) {
    try move(.expire)
    error = JobError(.expired, "no miner ran it within its time to live of \(specification.timeToLive.whole) s")
    completedAt = now
  }

  /// It can never be scheduled, and its owner asked to be told at once.
  public mutating func rejectUnschedulable(_ message: String, at now: Timestamp) throws(TransitionRefused) {
    guard state == .pending else { throw TransitionRefused(state: state, input: .fail) }
    try move(.fail)
    error = JobError(.unschedulable, message)
    completedAt = now
  }

  /// Its try is over: another follows, or the job ends. `backoff` is the wait before another. `endedAt`: when the try
  /// ended, where that is only heard of now.
  public mutating func end(
    _ end: TryEnd, backoff: Seconds, at now: Timestamp, endedAt: Timestamp? = nil
  ) throws(TransitionRefused) {
    defer { if completedAt != nil, let endedAt { completedAt = endedAt } }
    switch end {
    case .completed(let code, let result):
      try move(.complete)
      exitCode = code
      self.result = result
      error = nil
      progress = 100
      cancel?.outcome = .tooLate
      completedAt = now
    case .failed(let error, let code):
      try endBadly(error, code: code, burnsTry: true, last: .fail, backoff: backoff, at: now)
    case .refused(let reason):
      let burnsTry = state == .running
      try endBadly(JobError(.refused, reason), code: nil, burnsTry: burnsTry, last: .fail, backoff: backoff, at: now)
    case .lost(let reason):
      try endBadly(JobError(.lost, reason), code: nil, burnsTry: true, last: .lose, backoff: backoff, at: now)
    case .quarantined(let reason):
      try endBadly(JobError(.quarantined, reason), code: nil, burnsTry: true, last: .lose, backoff: backoff, at: now)
    case .canceled:
      try move(.confirmCancel)
      finishCanceled(at: now)
    }
  }

  private mutating func endBadly(
    _ error: JobError, code: Int?, burnsTry: Bool, last: JobInput, backoff: Seconds, at now: Timestamp
  ) throws(TransitionRefused) {
    if state == .canceling {
      // A try that is lost or refused while it is being canceled has no process left that could count: its lease is
      // over. A failure of its own stays a failure.
      if [.lost, .refused, .quarantined].contains(error.code) {
        try move(.confirmCancel)
        return finishCanceled(at: now)
      }
      try move(.fail)
      cancel?.outcome = .failed
      return finish(error, code: code, at: now)
    }
    guard state.isHeld else { throw TransitionRefused(state: state, input: last) }
    if !burnsTry { triesUsed -= 1 }
    if specification.triesAgain(after: error.code), triesUsed < specification.maxTries {
      try move(.requeue)
      availableAt = now + backoff
      // Waiting again starts a new time to live: the queue did its part the first time. A refusal is no try; were it
      // to renew the time, a job that everybody refuses would never end.
      if burnsTry { expiresAt = availableAt + specification.timeToLive }
      // What was run is lost with the try and not paid for.
      assignedAt = nil
      startedAt = nil
      progress = 0
      progressMessage = nil
      self.error = error
      return
    }
    try move(last)
    finish(error, code: code, at: now)
  }

  private mutating func finish(_ error: JobError, code: Int?, at now: Timestamp) {
    self.error = error
    exitCode = code
    completedAt = now
  }

  private mutating func finishCanceled(at now: Timestamp) {
    cancel?.outcome = .canceled
    error = JobError(.canceled, cancel?.reason ?? "canceled by its owner")
    completedAt = now
  }

  /// What it costs and how long its result stays; set once, in the transaction that ends it.
  public mutating func settle(cost: Money, retention: Seconds) {
    guard state.isTerminal, let completedAt, resultExpiresAt == nil else { return }
    self.cost = cost
    resultExpiresAt = completedAt + retention
  }

  /// Its result goes. After its time that was then, however late somebody removes it.
  public mutating func purgeResult(at now: Timestamp) {
    guard state.isTerminal, resultPurgedAt == nil else { return }
    resultPurgedAt = resultsGone(at: now) ?? now
    result = nil
  }

  /// When its results went; nil while they are here. They are gone at `resultExpiresAt`, whether or not anybody has
  /// removed them yet.
  public func resultsGone(at now: Timestamp) -> Timestamp? {
    if let resultPurgedAt { return resultPurgedAt }
    return resultExpiresAt.flatMap { now >= $0 ? $0 : nil }
  }

  /// A better plan keeps the results longer. Never shortens, and what is gone stays gone. False when nothing changed.
  public mutating func extendRetention(to retention: Seconds, at now: Timestamp) -> Bool {
    guard let completedAt, let resultExpiresAt, resultsGone(at: now) == nil, completedAt + retention > resultExpiresAt
    else { return false }
    self.resultExpiresAt = completedAt + retention
    return true
  }
}

extension Job {
  /// The word of its start came after a cancel: kept for the charge, the state stays.
  public mutating func noteStart(at now: Timestamp) {
    if state == .canceling, startedAt == nil { startedAt = now }
  }
}
