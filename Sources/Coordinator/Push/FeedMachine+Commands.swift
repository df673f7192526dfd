import Clocks
import Marketplace
import Wire

extension FeedMachine {
  /// A message of the client that was understood.
  mutating func received(_ command: FeedCommand, at now: MonotonicTime) -> [FeedAction] {
    guard phase != .closed else { return [] }
    if let refusal = overRate(at: now) { return refusal }
    switch command {
    case .ping: return [.send(.pong)]
    case .auth(let key):
      guard phase == .anonymous else { return [error("already_authenticated", "this feed has its key")] }
      phase = .authenticating
      return [.authenticate(key: key)]
    case .resume(let epoch, let after): return received(resume: FeedResume(epoch: epoch, after: after))
    case .subscribe(let job, let logs, let offsets):
      return subscribe(to: job, logs: logs, offsets: offsets, at: now)
    case .unsubscribe(let job):
      guard let id = JobID(job) else { return [error("job_not_found", "no such job")] }
      return unfollow(id) + finishIfDone(at: now)
    }
  }

  /// A message of the client that was no command.
  mutating func received(malformed message: String, at now: MonotonicTime) -> [FeedAction] {
    guard phase != .closed else { return [] }
    if let refusal = overRate(at: now) { return refusal }
    malformed += 1
    guard malformed <= limits.malformedMessages else {
      return close(.malformed, "too many messages that are no command")
    }
    return [error("malformed_message", message)]
  }

  mutating func receivedBinary() -> [FeedAction] {
    close(.unsupportedData, "the feed takes text messages only")
  }

  private mutating func overRate(at now: MonotonicTime) -> [FeedAction]? {
    guard !rate.admit(at: now, limit: limits.messagesPerSecond) else { return nil }
    return close(.tooManyMessages, "more than \(limits.messagesPerSecond) messages in a second")
  }

  private mutating func received(resume wanted: FeedResume) -> [FeedAction] {
    resume = wanted
    // Before the key is known it is kept; afterwards whatever is being read or sent gives way to it.
    return phase == .loading || phase == .live ? load() : []
  }

  private mutating func subscribe(
    to job: String, logs: Bool, offsets: [LogStream: Int64], at now: MonotonicTime
  ) -> [FeedAction] {
    guard account != nil else { return [error("unauthorized", "send auth first")] }
    guard let id = JobID(job) else { return [error("job_not_found", "no such job")] }
    if case .job(let own) = scope, own != id {
      return [error("other_job", "this feed is about \(own); open another one")]
    }
    // Without logs there is nothing to turn on: a feed has the events of all its jobs.
    guard logs else { return unfollow(id) + finishIfDone(at: now) }
    let known = follows.firstIndex { $0.cursor.job == id }
    guard known != nil || follows.count < limits.subscriptions else {
      return [error("too_many_subscriptions", "at most \(limits.subscriptions) jobs on one connection")]
    }
    followGeneration += 1
    let follow = Follow(cursor: LogCursor(job: id, offsets: offsets), generation: followGeneration)
    if let known { follows[known] = follow } else { follows.append(follow) }
    return (known == nil ? [.follow(id)] : []) + [.loadLogState(id, generation: follow.generation)]
  }

  mutating func unfollow(_ job: JobID) -> [FeedAction] {
    guard let index = follows.firstIndex(where: { $0.cursor.job == job }) else { return [] }
    follows.remove(at: index)
    return [.unfollow(job)]
  }

  func error(_ code: String, _ message: String) -> FeedAction { .send(.error(code: code, message: message)) }
}
