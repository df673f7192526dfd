import JSON
import Marketplace
import Wire

/// What a feed's messages about one job mean, given all that came before. A value without any I/O: each durable event
/// comes out once and in order, whatever is repeated, resumed or reset.
struct FeedReducer: Hashable, Sendable {
  enum Output: Hashable, Sendable {
    case status(JobStatus)
    case progress(JobProgress)
    case log(LogPiece)
    /// The job has ended; nothing comes out after this.
    case ended
    /// The history is gone or this job was not in it: ask for the job's document.
    case refetch
    /// The connection is of another epoch than we took it for: open a new one without resuming.
    case reconnect
    case refused(code: String, message: String)
  }

  let job: String
  private(set) var epoch: String?
  private(set) var sequence: Int64 = 0
  private(set) var isEnded = false
  private var last: JobStatus?
  private var lastProgress: JobProgress?

  init(job: String) { self.job = job }

  /// Where to go on after a lost connection; nil when nothing is known yet.
  var resumePoint: (epoch: String, after: Int64)? { epoch.map { ($0, sequence) } }

  /// The try that the job was last seen in; 0 when it has not been placed yet.
  var tryNumber: Int { last?.tryNumber ?? 0 }

  /// The place is of a history that is no more; what was told stays told.
  mutating func forgetPlace() {
    epoch = nil
    sequence = 0
  }

  mutating func take(_ message: FeedMessage) -> [Output] {
    guard !isEnded else { return [] }
    switch message {
    case .snapshot(let epoch, let sequence, let jobs, _):
      self.epoch = epoch
      self.sequence = sequence
      guard let document = jobs.compactMap(JobSnapshot.init(json:)).first(where: { $0.id == job }) else {
        return [.refetch]
      }
      return take(document)
    case .reset(let epoch, let sequence):
      self.epoch = epoch
      self.sequence = sequence
      return [.refetch]
    case .status(let status): return take(status)
    case .progress(let progress): return take(progress)
    case .log(let piece): return piece.job == job ? [.log(piece)] : []
    case .error(let code, let text): return [.refused(code: code, message: text)]
    case .market, .pong: return []
    }
  }

  /// A document of the job, from a snapshot or from REST: a status only if it tells something new.
  mutating func take(_ document: JobSnapshot) -> [Output] {
    guard !isEnded, document.id == job, let status = JobStatus(document, sequence: sequence, epoch: epoch ?? "") else {
      return []
    }
    if let last, status.isOlder(than: last) { return [] }
    var outputs: [Output] = []
    if last.map({ $0.status != status.status || $0.tryNumber != status.tryNumber }) ?? true {
      outputs = emit(status)
    }
    if !isEnded, status.status == .running, let progress = JobProgress(document) { outputs += take(progress) }
    return outputs
  }

  private mutating func take(_ status: JobStatus) -> [Output] {
    guard status.job == job else { return [] }
    if let epoch, epoch != status.epoch { return [.reconnect] }
    if epoch == status.epoch, status.sequence <= sequence { return [] }
    epoch = status.epoch
    sequence = status.sequence
    return emit(status)
  }

  private mutating func emit(_ status: JobStatus) -> [Output] {
    last = status
    isEnded = status.isEnd
    return status.isEnd ? [.status(status), .ended] : [.status(status)]
  }

  /// Progress never falls within a try; repeated and outrun messages are dropped.
  private mutating func take(_ progress: JobProgress) -> [Output] {
    guard progress.job == job, progress.tryNumber >= tryNumber else { return [] }
    if let old = lastProgress, old.tryNumber == progress.tryNumber {
      if progress.progress < old.progress { return [] }
      if progress.progress == old.progress, progress.message == old.message,
        progress.estimatedCompletion == old.estimatedCompletion
      {
        return []
      }
    }
    lastProgress = progress
    return [.progress(progress)]
  }
}

extension JobStatus {
  /// A status made from a job's document. Nil when its state is not known to this version.
  init?(_ document: JobSnapshot, sequence: Int64, epoch: String) {
    guard let state = document.status else { return nil }
    self.init(
      sequence: sequence, epoch: epoch, job: document.id, status: state, attempt: document.attempt,
      tryNumber: document.tryNumber, miner: document.minerID, progress: document.progress,
      at: document.since ?? Timestamp(milliseconds: 0))
    for name in ["exit_code", "error", "error_detail", "cancel", "cost", "results_available", "pending_reason"] {
      if let value = document.json[name], !value.isNull { summary[name] = value }
    }
  }

  /// A document may have been read before an event that has come already.
  fileprivate func isOlder(than other: JobStatus) -> Bool {
    if tryNumber != other.tryNumber { return tryNumber < other.tryNumber }
    return Self.rank(status) < Self.rank(other.status)
  }

  private static func rank(_ state: JobState) -> Int {
    switch state {
    case .assigned: 0
    case .running: 1
    // A job that lost its try goes back to pending with the same try number.
    case .pending: 2
    case .canceling: 3
    default: 4
    }
  }
}

extension JobProgress {
  init?(_ document: JobSnapshot) {
    guard let state = document.status else { return nil }
    self.init(
      job: document.id, status: state, attempt: document.attempt, tryNumber: document.tryNumber,
      progress: document.progress, message: document.progressMessage,
      estimatedCompletion: document.estimatedCompletion, at: Timestamp(milliseconds: 0))
  }
}
