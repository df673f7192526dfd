public import JSON
public import Marketplace
public import Wire

/// What a runner says when nothing of a run is left.
public struct RunResult: Hashable, Sendable {
  public enum Outcome: Hashable, Sendable {
    case completed
    case failed(JobError)
  }

  public var outcome: Outcome
  /// Exit code of the program, where there is one.
  public var exitCode: Int?
  /// A result as JSON.
  public var result: JSONValue?
  public var usage: Usage
  /// It ended because it was told to. A run that was told and ended by itself first says false.
  public var wasStopped: Bool

  public init(
    _ outcome: Outcome, exitCode: Int? = nil, result: JSONValue? = nil, usage: Usage = Usage(), wasStopped: Bool = false
  ) {
    self.outcome = outcome
    self.exitCode = exitCode
    self.result = result
    self.usage = usage
    self.wasStopped = wasStopped
  }

  /// What the coordinator is told, given why the try was stopped.
  func verdict(_ stop: TryMachine.Stop?) -> JobError? {
    switch (stop, outcome) {
    case (.canceled, _) where wasStopped: JobError(.canceled, "canceled while it ran")
    case (.leaving, _) where wasStopped: JobError(.canceled, "the miner was stopped")
    case (.fenced, _) where wasStopped:
      JobError(.minerError, "the miner could not renew its lease in time and stopped the job itself")
    case (_, .completed): nil
    case (_, .failed(let error)): error
    }
  }
}
