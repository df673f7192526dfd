import Marketplace
import Testing

/// Every two steps of which one is the wish to cancel, in both orders, from every state in which they can meet.
@Suite struct CancelInterleavingTests {
  /// Rows: the other step. Columns: from which state; then what follows when the cancel comes first, and when it comes
  /// second. `-`: that step is refused, and the state stays. With tries left.
  private static let table = """
    claim          pending   canceled/canceled:-    canceling
    start          assigned  canceling:-            canceling
    completed      running   completed              completed:-
    failed         assigned  failed                 failed:-
    failed         running   failed                 failed:-
    failedByMiner  assigned  failed                 canceled
    failedByMiner  running   failed                 canceled
    refused        assigned  canceled               canceled
    refused        running   canceled               canceled
    lost           assigned  canceled               canceled
    lost           running   canceled               canceled
    quarantined    running   canceled               lost:-
    canceled       assigned  canceled               canceling:-
    canceled       running   canceled               canceling:-
    expire         pending   canceled:-             expired:-
    expire         assigned  canceling:-            expired:-
    unschedulable  pending   canceled:-             failed:-
    cancel         pending   canceled:-             canceled:-
    cancel         assigned  canceling              canceling
    cancel         running   canceling              canceling
    """

  private struct Row: CustomTestStringConvertible, Sendable {
    let other: JobOperation
    let state: JobState
    let cancelFirst: String
    let cancelSecond: String
    var testDescription: String { "\(other.rawValue) from \(state.rawValue)" }
  }

  private static let rows: [Row] = table.split(separator: "\n").compactMap { line in
    let words = line.split(separator: " ").map(String.init)
    guard words.count == 4, let other = JobOperation(rawValue: words[0]), let state = JobState(rawValue: words[1])
    else { return nil }
    let first = words[2].split(separator: "/").last.map(String.init) ?? ""
    return Row(other: other, state: state, cancelFirst: first, cancelSecond: words[3])
  }

  @Test func theTableIsReadWhole() { #expect(Self.rows.count == 20) }

  @Test func bothOrders() throws {
    for row in Self.rows {
      for (steps, expected) in [
        ([JobOperation.cancel, row.other], row.cancelFirst), ([row.other, .cancel], row.cancelSecond),
      ] {
        var job = JobFixture.job(row.state, triesUsed: row.state == .pending ? 0 : 1, cancel: false)
        var isRefused = false
        for step in steps {
          let before = job
          do { try step.run(on: &job) } catch is TransitionRefused {
            isRefused = true
            #expect(job == before, "\(row.testDescription): a refused step changed something")
          }
        }
        let parts = expected.split(separator: ":")
        #expect(job.state.rawValue == parts[0], "\(row.testDescription), \(steps.map(\.rawValue))")
        #expect(isRefused == (parts.count == 2), "\(row.testDescription), \(steps.map(\.rawValue))")
        check(job, row)
      }
    }
  }

  /// A cancel that was taken has an outcome exactly when the job has ended, and it tells the truth.
  private func check(_ job: Job, _ row: Row) {
    guard let cancel = job.cancel else { return }
    let expected: CancelRequest.Outcome =
      switch job.state {
      case .completed: .tooLate
      case .failed: .failed
      case .canceled: .canceled
      default: .pending
      }
    #expect(cancel.outcome == expected, "\(row.testDescription)")
  }
}
