import Clocks
import Marketplace
import Wire

extension FeedMachine {
  // MARK: Events

  /// What to send next from the topic. A batch counts as sent; a history read counts as begun and is answered with
  /// ``historyRead(_:floor:isLast:generation:)``.
  /// - room: bytes that the connection has room for; a batch is larger only when it is one event.
  mutating func next<Frame>(in run: TopicRun<Frame>, room: Int = .max) -> CursorStep<Frame> {
    guard phase == .live, !isReadingHistory else { return .caughtUp }
    let step = cursor.step(in: run, limit: min(limits.batchBytes, room))
    switch step {
    case .caughtUp: break
    case .batch(let batch): cursor.delivered(batch)
    case .history: isReadingHistory = true
    }
    return step
  }

  /// Whether a batch that all readers share holds exactly what this one lacks.
  func takes(base: Int64, first: Int64?, version: UInt64?) -> Bool {
    phase == .live && !isReadingHistory && cursor.sequence >= base && cursor.sequence < first ?? .max
      && cursor.version == version
  }

  /// Whether this reader has exactly what those in step have, and needs no looking after.
  func isInStep(with mark: TopicMark) -> Bool {
    guard cursor.version == mark.version else { return false }
    switch phase {
    case .live: return !isReadingHistory && !hasEnded && cursor.sequence >= mark.published
    // Market figures.
    case .anonymous: return true
    case .authenticating, .loading, .closed: return false
    }
  }

  /// Progress is for readers that have every event; others get the latest when they do.
  func takesProgress(last: Int64) -> Bool {
    switch phase {
    case .live: !isReadingHistory && cursor.sequence >= last
    // Market figures.
    case .anonymous, .authenticating: true
    case .loading, .closed: false
    }
  }

  /// Returns how many of the page's events, from its end, are new to the reader and are to be sent.
  mutating func historyRead(
    _ sequences: [Int64], floor: Int64, isLast: Bool, generation: Int
  ) -> Int {
    guard phase == .live, generation == self.generation, isReadingHistory else { return 0 }
    isReadingHistory = false
    return cursor.delivered(history: sequences, floor: floor, isLast: isLast).count
  }

  /// Events that the reader lacks were removed from the log while it lagged.
  mutating func historyGone(generation: Int) -> [FeedAction] {
    guard phase == .live, generation == self.generation, isReadingHistory else { return [] }
    return reset()
  }

  /// These jobs' end events were sent.
  mutating func delivered(ends jobs: [JobID], at now: MonotonicTime) -> [FeedAction] {
    if case .job = scope, !jobs.isEmpty { hasEnded = true }
    // Only the store knows whether a stream without an end record still gets one.
    let states = follows.filter { jobs.contains($0.cursor.job) }
      .map { FeedAction.loadLogState($0.cursor.job, generation: $0.generation) }
    return states + finishIfDone(at: now)
  }

  // MARK: Logs

  /// Nil: no such job, or another account's.
  mutating func logStateLoaded(
    _ state: LogState?, of job: JobID, generation: Int, now: MonotonicTime
  ) -> [FeedAction] {
    guard phase != .closed,
      let index = follows.firstIndex(where: { $0.cursor.job == job && $0.generation == generation })
    else { return [] }
    guard let state else {
      return unfollow(job) + [error("job_not_found", "no such job")] + finishIfDone(at: now)
    }
    follows[index].cursor.load(state)
    return [.pump] + dropFinished(at: now)
  }

  /// What the hub heard of a job's logs.
  mutating func logsChanged(_ extents: [LogExtent], of job: JobID) {
    guard let index = follows.firstIndex(where: { $0.cursor.job == job }) else { return }
    for extent in extents {
      for stream in LogStream.allCases {
        follows[index].cursor.merge(
          tryNumber: extent.tryNumber, stream: stream, length: extent[stream].length, fact: extent[stream].fact)
      }
    }
  }

  /// The next thing to do for the logs, by turns among the jobs. A read counts as begun; one is under way at a time.
  mutating func nextLog() -> LogStep {
    guard phase == .live, !isReadingLog else { return .nothing }
    for _ in follows.indices {
      logTurn = (logTurn + 1) % follows.count
      let step = follows[logTurn].cursor.next(limit: limits.logPiece)
      if case .read = step { isReadingLog = true }
      if step != .nothing { return step }
    }
    return .nothing
  }

  /// No bytes: they were removed.
  mutating func logRead(_ bytes: [UInt8], for read: LogRead, now: MonotonicTime) -> [FeedAction] {
    isReadingLog = false
    guard phase != .closed, let index = follows.firstIndex(where: { $0.cursor.expects(read) }) else { return [.pump] }
    guard !bytes.isEmpty else {
      let message = "\(read.stream.rawValue) of try \(read.tryNumber) is gone from byte \(read.offset) on"
      return unfollow(read.job) + [error("log_gone", message), .pump] + finishIfDone(at: now)
    }
    let piece = follows[index].cursor.took(bytes, for: read)
    return (piece.map { [.send(.log($0))] } ?? []) + [.pump] + dropFinished(at: now)
  }

  /// Logs that are through are no subscription any more.
  mutating func dropFinished(at now: MonotonicTime) -> [FeedAction] {
    let finished = follows.map(\.cursor).filter(\.isFinished).map(\.job)
    return finished.flatMap { unfollow($0) } + finishIfDone(at: now)
  }
}
