import Clocks
import Marketplace
import Testing
import Wire

@testable import Coordinator
@testable import Store

/// What happens between a claim's commit and its miner.
struct DispatchStateTests {
  private static let record = FleetTests.record(1, slots: 2)
  private let now = MonotonicTime(milliseconds: 0)

  private func claimed(_ token: String) throws -> ClaimedTry {
    var job = Job(
      id: Fixture.id(JobKind.self, 7), account: Fixture.id(AccountKind.self, 1),
      specification: JobSpecification(runner: "process"), createdAt: Timestamp(milliseconds: 0))
    try job.claim(by: Self.record.id, at: Timestamp(milliseconds: 0))
    let attempt = TryRecord(
      job: job.id, number: 1, miner: Self.record.id, leaseHash: LeaseToken.hash(token),
      claimedAt: Timestamp(milliseconds: 0))
    return ClaimedTry(job: job, attempt: attempt, lease: token)
  }

  private static let opening = DispatchState.Opening(miner: record.id, classes: [1], count: 2, leaseTerm: nil)

  private func outcome(_ items: ClaimedTry...) -> Claim.Outcome {
    var outcome = Claim.Outcome()
    outcome.claimed = items
    return outcome
  }

  private static func assignment(_ commands: [MinerCommand]) throws -> Assignment {
    guard case .assign(let assignment)? = commands.first else { throw NoAssignment() }
    return assignment
  }

  private struct NoAssignment: Error {}

  private func connected() -> DispatchState {
    var state = DispatchState(leaseTerm: Seconds(15))
    let connection = state.connect(Self.record, named: [], held: [], at: now).connection
    _ = state.welcome(Self.record.id, connection: connection)
    return state
  }

  @Test func `a connected miner is told at once`() throws {
    var state = connected()
    state.beginClaim()
    let commands = state.granted(outcome(try claimed("t")), to: Self.opening, at: now)
    let assignment = try Self.assignment(commands)
    #expect(assignment.lease == "t" && commands.count == 1)
    #expect(state.lease(token: "t") != nil && state.fleet.available.first?.freeSlots == 1)
  }

  ///     claim: commit ──────────────────────────────▶ granted
  ///     miner:          hello, try not named, given back
  @Test func `a try that was given back before its claim was told is not handed out`() throws {
    var state = connected()
    state.beginClaim()
    let item = try claimed("t")
    let answer = state.connect(Self.record, named: [], held: [item.attempt], at: now)
    #expect(answer.unnamed == [item.attempt])
    state.release(item.attempt.leaseHash)
    #expect(state.welcome(Self.record.id, connection: answer.connection).isEmpty)
    #expect(state.granted(outcome(item), to: Self.opening, at: now).isEmpty)
    #expect(state.lease(token: "t") == nil)
  }

  ///     claim:            commit ────────▶ granted
  ///     miner:   hello (read before)                  welcome
  @Test func `an assignment waits for the welcome`() throws {
    var state = connected()
    state.beginClaim()
    let connection = state.connect(Self.record, named: [], held: [], at: now).connection
    #expect(state.granted(outcome(try claimed("t")), to: Self.opening, at: now).isEmpty)
    let commands = state.welcome(Self.record.id, connection: connection)
    let assignment = try Self.assignment(commands)
    #expect(assignment.lease == "t")
    #expect(state.welcome(Self.record.id, connection: connection).isEmpty)
  }

  @Test func `a token that is over is answered as lost, and a report with it as not accepted`() throws {
    var state = connected()
    state.beginClaim()
    _ = state.granted(outcome(try claimed("t")), to: Self.opening, at: now)
    state.release(LeaseToken.hash("t"))
    let wall = Timestamp(milliseconds: 0)
    for message in [MinerMessage.started(lease: "t"), .refuse(lease: "t", reason: ""), .accept(lease: "t")] {
      let (replies, work) = state.receive(message, from: Self.record.id, at: now, wall: wall)
      #expect(replies == [.leases(renewed: [:], lost: ["t"])])
      // Only the word of a start is worth keeping.
      if case .started = message {
        guard case .refuseStart(token: "t")? = work else { throw NoAssignment() }
      } else {
        #expect(work == nil)
      }
    }
    let (replies, work) = state.receive(.done(TryReport(lease: "t")), from: Self.record.id, at: now, wall: wall)
    #expect(replies == [.settled(lease: "t", accepted: false)])
    guard case .refuseReport(let report)? = work else { throw NoAssignment() }
    #expect(report.lease == "t")
  }
}
