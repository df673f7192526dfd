import Clocks
import Marketplace
import Store
import Synchronization
import Wire

/// The progress of running jobs, in memory: it changes too often to be written each time. Rows follow within seconds.
final class ProgressBoard: Sendable {
  private struct State {
    var jobs: [JobID: Job] = [:]
    var dirty: Set<JobID> = []
    /// Reports of tries whose start is not durable yet; at most one a lease.
    var early: [JobID: Report] = [:]
  }

  /// One report of a try.
  struct Report: Sendable {
    let tryNumber: Int
    let percent: Int
    let message: String?
  }

  /// A change, for the feed.
  typealias Change = (message: JobProgress, account: AccountID)

  private let state = Mutex(State())

  /// A job began to run, or a running one was met again. What it reported before its start was durable is taken now.
  func begin(_ job: Job, at now: Timestamp) -> Change? {
    let report = state.withLock { state in
      state.jobs[job.id] = job
      return state.early.removeValue(forKey: job.id)
    }
    return report.flatMap { self.report(job.id, $0, at: now) }
  }

  func end(_ job: JobID) {
    state.withLock { state in
      state.jobs[job] = nil
      state.early[job] = nil
      state.dirty.remove(job)
    }
  }

  func knows(_ job: JobID) -> Bool { state.withLock { $0.jobs[job] != nil } }

  /// Takes a report. The message for the feed, or nil when nothing changed or the job does not run.
  func report(_ id: JobID, _ report: Report, at now: Timestamp) -> Change? {
    state.withLock { state in
      guard var job = state.jobs[id], job.lastTry >= report.tryNumber else {
        state.early[id] = report
        return nil
      }
      guard job.lastTry == report.tryNumber,
        job.report(progress: report.percent, message: Self.cut(report.message))
      else { return nil }
      state.jobs[id] = job
      state.dirty.insert(id)
      let message = JobProgress(
        job: id.rawValue, status: job.state, attempt: job.attempt, tryNumber: job.lastTry, progress: job.progress,
        message: job.progressMessage, estimatedCompletion: Self.estimate(job, at: now), at: now)
      return (message, job.account)
    }
  }

  /// What a try reported last.
  func latest(of job: JobID, tryNumber: Int) -> EndTry.Progress? {
    state.withLock { state in
      if let known = state.jobs[job], known.lastTry == tryNumber {
        return EndTry.Progress(percent: known.progress, message: known.progressMessage)
      }
      return state.early[job].flatMap { report in
        report.tryNumber == tryNumber
          ? EndTry.Progress(percent: report.percent, message: Self.cut(report.message)) : nil
      }
    }
  }

  private static func cut(_ message: String?) -> String? { message.map { String($0.prefix(512)) } }

  /// The job with the latest progress in it.
  func overlay(_ job: Job) -> Job {
    guard !job.state.isTerminal, let known = state.withLock({ $0.jobs[job.id] }), known.lastTry == job.lastTry else {
      return job
    }
    var job = job
    _ = job.report(progress: known.progress, message: known.progressMessage)
    return job
  }

  /// What was reported since the last call.
  func takeDirty() -> [Job] {
    state.withLock { state in
      let jobs = state.dirty.compactMap { state.jobs[$0] }
      state.dirty = []
      return jobs
    }
  }

  /// When it ends if it goes on as it went. Nil before there is anything to go by.
  static func estimate(_ job: Job, at now: Timestamp) -> Timestamp? {
    guard job.state == .running, let started = job.startedAt, job.progress > 0 else { return nil }
    let elapsed = max(0, now.millisecondsSince(started))
    return Timestamp(milliseconds: started.milliseconds + elapsed * 100 / Int64(job.progress))
  }
}
