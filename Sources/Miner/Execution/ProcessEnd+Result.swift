import Glibc
import Marketplace

/// Why a process was stopped by the runner itself.
enum RunnerStop: Hashable, Sendable {
  case outputTooLarge(OutputTooLarge)
  /// errno of the log spool's disk.
  case spoolFailed(Int32)

  var error: JobError {
    switch self {
    case .outputTooLarge(let excess): JobError(.outputTooLarge, "\(excess)")
    case .spoolFailed(let code) where code == ENOSPC || code == EDQUOT:
      JobError(.diskFull, "the miner's disk is full")
    case .spoolFailed(let code): JobError(.minerError, "the miner can't keep the job's output (error \(code))")
    }
  }
}

extension ProcessEnd {
  /// The job's result as the contract words it. `limit` is its timeout, `stopped` why we ended it ourselves.
  func result(program: String, timeout: Seconds, stopped: RunnerStop?) -> RunResult {
    let asked = terminated || (killed && isSignaled)
    var result = RunResult(.completed, usage: usage)
    if fenced {
      result.outcome = .failed(JobError(.minerError, "the miner stood still, and its lease was not renewed in time"))
      result.wasStopped = true
    } else if let stopped {
      result.outcome = .failed(stopped.error)
    } else if timedOut {
      result.outcome = .failed(JobError(.timeout, "it ran longer than \(timeout.whole) s"))
    } else {
      result.outcome = plainOutcome(program: program)
      result.wasStopped = asked
    }
    if case .exited(let code) = outcome { result.exitCode = code }
    return result
  }

  private var isSignaled: Bool {
    if case .signaled = outcome { true } else { false }
  }

  private func plainOutcome(program: String) -> RunResult.Outcome {
    switch outcome {
    case .exited(code: 0): .completed
    case .exited(let code): .failed(JobError(.exitNonzero, "exit code \(code)"))
    case .signaled(number: 9) where memoryRanOut:
      .failed(JobError(.outOfMemory, "the kernel ended it for want of memory"))
    case .signaled(let number): .failed(JobError(.signaled, "ended by signal \(number)"))
    case .launchFailed(let stage, let code): .failed(Self.launchError(stage, code, program: program))
    case .supervisorLost: .failed(JobError(.minerError, "the job's supervisor was killed"))
    }
  }

  private static func launchError(_ stage: LaunchStage, _ code: Int32, program: String) -> JobError {
    let reason = SystemText.error(code)
    switch stage {
    case .exec: return JobError(.launchFailed, "\(program.prefix(256)): \(reason)")
    case .directory: return JobError(.launchFailed, "the working directory: \(reason)")
    case .limits: return JobError(.launchFailed, "the limits can't be set: \(reason)")
    // Not the job's doing: elsewhere, or later, it may well start.
    case .sandbox: return JobError(.minerError, "the sandbox could not be set up")
    case .fork, .configuration, .none: return JobError(.minerError, "no process could be started: \(reason)")
    }
  }
}

/// The C library's words.
enum SystemText {
  static func error(_ code: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let storage = buffer.baseAddress, strerror_r(code, storage, buffer.count) == 0 else {
        return "error \(code)"
      }
      return String(cString: storage)
    }
  }
}
