import JSON
import Marketplace
import Store
import Wire

/// A miner's word that a try is over, as it is made durable: what the report names must have arrived, and the lease
/// must be live.
struct ReportedEnd: Sendable {
  let report: TryReport
  let lease: LeaseTable.Lease
  /// In place of the report's own figures, as a REST miner said it.
  var usage: JSONValue?
  /// The miner's, checked.
  var signature: SignatureRecord?
  /// What the try reported last.
  let progress: EndTry.Progress?
  let backoff: Seconds
  /// The market's share of the charge.
  let fee: FeeRate
  let now: Timestamp
  /// Bytes of a result in a report.
  let resultLimit: Int

  /// Throws ``MissingArtifact``, and ``MarketError/staleLease`` when the try is not live any more.
  func run(in market: any MarketTransaction) throws -> Job {
    let arrived =
      report.artifacts.isEmpty ? [] : try market.artifacts(of: lease.job, tryNumber: lease.tryNumber)
    let known = Dictionary(arrived.map { ($0.path, $0) }, uniquingKeysWith: { $1 })
    for artifact in report.artifacts {
      guard let arrived = known[artifact.path], arrived.size == artifact.size, arrived.sha256 == artifact.sha256
      else { throw MissingArtifact(path: artifact.path) }
    }
    var operation = EndTry(
      leaseHash: lease.hash, miner: lease.miner, end: end,
      facts: EndTry.Facts(
        usage: usage ?? report.usage.json, stdout: LogRecord(report.stdout), stderr: LogRecord(report.stderr),
        signature: signature),
      progress: progress, backoff: backoff, fee: fee, now: now)
    operation.endedAgo = report.endedAgo
    return try operation.run(in: market)
  }

  private var end: TryEnd {
    guard let error = report.error else {
      if let result = report.result, result.encoded.count > resultLimit {
        let message = "its result has more than \(resultLimit) bytes; larger ones are artifacts"
        return .failed(JobError(.outputTooLarge, message), exitCode: report.exitCode)
      }
      return .completed(exitCode: report.exitCode ?? 0, result: report.result)
    }
    return error.code == .canceled ? .canceled : .failed(error, exitCode: report.exitCode)
  }
}

/// The report names a file that is not here.
struct MissingArtifact: Error {
  let path: String
}

extension EndTry {
  /// The lease of a try ran out, or its miner forgot it: it is lost.
  init(losing lease: LeaseTable.Lease, _ reason: String, backoff: Seconds, fee: FeeRate, now: Timestamp) {
    self.init(leaseHash: lease.hash, miner: nil, end: .lost(reason: reason), backoff: backoff, fee: fee, now: now)
  }

  /// The miner let it run past its time-out and did not end it; its lease was taken back.
  init(timingOut lease: LeaseTable.Lease, of job: Job, backoff: Seconds, fee: FeeRate, now: Timestamp) {
    let limit = job.specification.timeout.whole
    let error = JobError(.timeout, "it ran longer than \(limit) s, and the miner did not end it")
    self.init(
      leaseHash: lease.hash, miner: nil, end: .failed(error, exitCode: nil), backoff: backoff, fee: fee, now: now)
  }

  /// The miner gave an assignment back.
  init(
    refusing lease: LeaseTable.Lease, _ reason: String, backoff: Seconds = Seconds(1), fee: FeeRate, now: Timestamp
  ) {
    self.init(
      leaseHash: lease.hash, miner: lease.miner, end: .refused(reason: String(reason.prefix(512))), backoff: backoff,
      fee: fee, now: now)
  }
}

extension LogRecord {
  init(_ fact: LogFact) { self.init(length: fact.length, sha256: fact.sha256) }
}
