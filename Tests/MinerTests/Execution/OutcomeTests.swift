import Glibc
import JSON
import Marketplace
import Testing
import Wire

@testable import Miner

@Suite("What is told of a run")
struct OutcomeTests {
  private func code(_ change: (inout ProcessEnd) -> Void, _ outcome: ProcessEnd.Outcome, stopped: RunnerStop? = nil)
    -> String
  {
    var end = ProcessEnd(outcome)
    change(&end)
    let result = end.result(program: "prog", timeout: Seconds(60), stopped: stopped)
    guard case .failed(let error) = result.outcome else {
      return result.wasStopped ? "completed, stopped" : "completed"
    }
    return error.code.rawValue + (result.wasStopped ? ", stopped" : "")
  }

  @Test func `each end has its code`() {
    #expect(code({ _ in }, .exited(code: 0)) == "completed")
    #expect(code({ _ in }, .exited(code: 3)) == "EXIT_NONZERO")
    #expect(code({ _ in }, .signaled(number: 11)) == "SIGNALED")
    #expect(code({ _ in }, .signaled(number: 9)) == "SIGNALED")
    #expect(code({ $0.memoryRanOut = true }, .signaled(number: 9)) == "OUT_OF_MEMORY")
    #expect(code({ $0.memoryRanOut = true }, .exited(code: 0)) == "completed")
    #expect(code({ _ in }, .launchFailed(stage: .exec, code: ENOENT)) == "LAUNCH_FAILED")
    #expect(code({ _ in }, .launchFailed(stage: .directory, code: ENOENT)) == "LAUNCH_FAILED")
    #expect(code({ _ in }, .launchFailed(stage: .fork, code: EAGAIN)) == "MINER_ERROR")
    #expect(code({ _ in }, .launchFailed(stage: .sandbox, code: 0)) == "MINER_ERROR")
    #expect(code({ _ in }, .supervisorLost) == "MINER_ERROR")
    #expect(
      code(
        {
          $0.timedOut = true; $0.terminated = true
        }, .signaled(number: 15)) == "TIMEOUT")
    #expect(
      code(
        {
          $0.timedOut = true; $0.terminated = true
        }, .exited(code: 0)) == "TIMEOUT")
    #expect(code({ $0.terminated = true }, .signaled(number: 15)) == "SIGNALED, stopped")
    #expect(code({ $0.terminated = true }, .exited(code: 0)) == "completed, stopped")
    #expect(code({ $0.killed = true }, .signaled(number: 9)) == "SIGNALED, stopped")
    // Strays were swept after it ended by itself.
    #expect(code({ $0.killed = true }, .exited(code: 0)) == "completed")
    #expect(
      code({ $0.killed = true }, .signaled(number: 9), stopped: .outputTooLarge(OutputTooLarge(limit: 5)))
        == "OUTPUT_TOO_LARGE")
    #expect(code({ $0.killed = true }, .signaled(number: 9), stopped: .spoolFailed(ENOSPC)) == "DISK_FULL")
    #expect(code({ $0.killed = true }, .signaled(number: 9), stopped: .spoolFailed(EIO)) == "MINER_ERROR")
  }

  @Test func `a stop counts only when it is what ended the run`() {
    let stopped = RunResult(.failed(JobError(.signaled, "15")), wasStopped: true)
    let finished = RunResult(.completed)
    let failed = RunResult(.failed(JobError(.exitNonzero, "1")))
    #expect(stopped.verdict(.canceled)?.code == .canceled)
    #expect(stopped.verdict(.fenced)?.code == .minerError)
    #expect(stopped.verdict(.leaving)?.code == .canceled)
    for stop in [nil, .canceled, .fenced, .leaving] as [TryMachine.Stop?] {
      #expect(finished.verdict(stop) == nil)
      #expect(failed.verdict(stop)?.code == .exitNonzero)
    }
  }

  @Test func `a result of more than its limit is an error, one at the limit is not`() {
    func report(_ count: Int) -> TryReport {
      TryReport(
        lease: "l", result: RunResult(.completed, result: .string(String(repeating: "x", count: count))), error: nil,
        artifacts: [], stdout: .empty, stderr: .empty)
    }
    let atLimit = report(TryReport.maximumResultBytes - 2)
    #expect(atLimit.error == nil && atLimit.result != nil)
    let past = report(TryReport.maximumResultBytes - 1)
    #expect(past.error?.code == .outputTooLarge && past.result == nil)
    if case .failed = past.message {} else { Issue.record("it must be reported as failed") }
  }
}
