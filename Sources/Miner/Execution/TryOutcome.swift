import Marketplace
import Wire

/// All that a try's report is made of. A value.
struct TryOutcome: Sendable {
  var stop: TryMachine.Stop?
  /// Nil: it never ran.
  var result: RunResult?
  /// What kept it from running, or its files from being sent.
  var failure: JobError?
  var artifacts: [ArtifactFact] = []
  var stdout = LogFact.empty
  var stderr = LogFact.empty

  /// What the coordinator is told. `sign` may put the miner's name to what was left.
  func report(lease: String, sign: (inout TryReport) -> Void = { _ in }) -> MinerMessage {
    guard let result else {
      if stop == .leaving { return .refuse(lease: lease, reason: "the miner is leaving") }
      let error = unstarted ?? failure ?? JobError(.minerError, "it could not be prepared")
      return .failed(TryReport(lease: lease, error: error))
    }
    var report = TryReport(
      lease: lease, result: result, error: result.verdict(stop) ?? failure, artifacts: artifacts, stdout: stdout,
      stderr: stderr)
    sign(&report)
    return report.message
  }

  private var unstarted: JobError? {
    switch stop {
    case .canceled: JobError(.canceled, "canceled before it started")
    case .fenced: JobError(.minerError, "the miner could not renew its lease in time")
    case .leaving, .lost, nil: nil
    }
  }
}
