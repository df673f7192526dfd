import Clocks
import Marketplace
import Store
import Synchronization
import Testing
import Wire

@testable import Coordinator

/// What a miner that speaks REST is told, and what becomes of assignments that nobody waits for.
struct PollingMinerTests {
  private static let id = Fixture.id(MinerKind.self, 1)
  private static let grace = Seconds(5)

  private let clock = ManualClock(wall: Timestamp(milliseconds: 0))
  private let returned = Returned()
  private let miner: PollingMiner

  private final class Returned: Sendable {
    let jobs = Mutex<[JobID]>([])
  }

  init() {
    miner = PollingMiner(id: Self.id, keyHash: "k", clock: clock) { [returned] assignment in
      returned.jobs.withLock { $0.append(assignment.job) }
    }
  }

  private func assignment(_ number: UInt64) -> Assignment {
    Assignment(
      job: Fixture.id(JobKind.self, number), tryNumber: 1, attempt: 1, lease: "lt_\(number)", leaseMilliseconds: 1,
      specification: JobSpecification(runner: "x"))
  }

  private func lease(_ number: UInt64) -> LeaseTable.Lease {
    LeaseTable.Lease(
      hash: "h\(number)", job: Fixture.id(JobKind.self, number), tryNumber: 1, miner: Self.id, term: Seconds(30),
      deadline: clock.monotonic + Seconds(30), token: nil)
  }

  // MARK: Polls

  @Test func `it wants as much as it polls for`() {
    #expect(miner.demand == 0)
    let first = miner.addWaiter()
    _ = miner.addWaiter()
    #expect(miner.demand == 2)
    first?.resolve(nil)
    #expect(miner.demand == 1)
  }

  @Test func `the first poll gets the first job`() async {
    let (first, second) = (miner.addWaiter(), miner.addWaiter())
    miner.send(.assign(assignment(1)))
    miner.send(.assign(assignment(2)))
    #expect(await first?.value()?.lease == "lt_1")
    #expect(await second?.value()?.lease == "lt_2")
    #expect(returned.jobs.withLock { $0 }.isEmpty)
  }

  @Test func `a job that nobody waits for is given back`() async {
    let gone = miner.addWaiter()
    gone?.resolve(nil)
    miner.send(.assign(assignment(1)))
    #expect(await gone?.value() == nil)
    #expect(returned.jobs.withLock { $0 } == [Fixture.id(JobKind.self, 1)])
  }

  @Test func `a poll whose time ends during a claim gets what was claimed`() async throws {
    let (first, second) = (try #require(miner.addWaiter()), try #require(miner.addWaiter()))
    #expect(miner.beginClaim(of: 1) == 1)
    miner.timeOut(first)
    miner.timeOut(second)
    miner.send(.assign(assignment(1)))
    #expect(second.isWaiting)
    miner.endClaim()
    #expect(await first.value()?.lease == "lt_1")
    #expect(await second.value() == nil)
    #expect(returned.jobs.withLock { $0 }.isEmpty)
  }

  @Test func `nothing is claimed for a poll whose time has ended`() throws {
    let waiter = try #require(miner.addWaiter())
    miner.timeOut(waiter)
    #expect(!waiter.isWaiting && miner.beginClaim(of: 3) == 0)
    miner.endClaim()
    _ = miner.addWaiter()
    #expect(miner.beginClaim(of: 3) == 1)
  }

  @Test func `a poll that is canceled is over`() async throws {
    let waiter = try #require(miner.addWaiter())
    let task = Task { await waiter.value() }
    task.cancel()
    #expect(await task.value == nil)
    #expect(miner.demand == 0)
  }

  @Test func `polls are limited`() {
    let waiters = (0..<PollingMiner.pollLimit).compactMap { _ in miner.addWaiter() }
    #expect(waiters.count == PollingMiner.pollLimit && miner.addWaiter() == nil)
    miner.remove(waiters[0])
    #expect(miner.addWaiter() != nil)
  }

  @Test(arguments: [MinerDismissal.keyRevoked, .removed])
  func `one that is dismissed polls no more`(reason: MinerDismissal) async throws {
    let waiter = try #require(miner.addWaiter())
    miner.dismiss(reason)
    #expect(await waiter.value() == nil)
    #expect(miner.addWaiter() == nil)
  }

  // MARK: Signs of life

  @Test func `all goes on`() {
    let answer = miner.answer(leases: [lease(1), lease(2)], cancels: [:])
    #expect(answer.renew == ["h1", "h2"] && answer.stop.isEmpty && answer.lost.isEmpty)
  }

  /// It is told until it obeys; the lease goes on for the grace, at and not past it.
  @Test func `a job to be stopped keeps its lease for the grace`() {
    miner.began("h1", job: Fixture.id(JobKind.self, 1), timeout: .days(1))
    let ask = { [self] in miner.answer(leases: [lease(1)], cancels: ["h1": Self.grace]) }
    #expect(ask().renew == ["h1"])
    clock.advance(by: Self.grace)
    #expect(ask().renew == ["h1"])
    clock.advance(by: Seconds(milliseconds: 1))
    #expect(ask().renew.isEmpty)
    #expect(ask().stop == [Fixture.id(JobKind.self, 1)])
  }

  @Test func `a job that runs too long is to be stopped`() {
    miner.began("h1", job: Fixture.id(JobKind.self, 1), timeout: Seconds(60))
    clock.advance(by: Seconds(milliseconds: 59_999))
    #expect(!miner.hasTimedOut("h1"))
    #expect(miner.answer(leases: [lease(1)], cancels: [:]).stop.isEmpty)
    clock.advance(by: Seconds(milliseconds: 1))
    #expect(miner.hasTimedOut("h1"))
    #expect(miner.answer(leases: [lease(1)], cancels: [:]).stop == [Fixture.id(JobKind.self, 1)])
    clock.advance(by: Seconds(CancelRequest.defaultGrace.whole + 1))
    #expect(miner.answer(leases: [lease(1)], cancels: [:]).renew.isEmpty)
  }

  @Test func `what it lost is told once, what it reported never`() {
    for number in [1, 2] as [UInt64] {
      miner.began("h\(number)", job: Fixture.id(JobKind.self, number), timeout: .days(1))
    }
    miner.ended("h2")
    #expect(miner.answer(leases: [], cancels: [:]).lost == [Fixture.id(JobKind.self, 1)])
    #expect(miner.answer(leases: [], cancels: [:]).lost.isEmpty)
  }

  @Test func `it is silent when it neither polls nor speaks`() {
    clock.advance(by: Seconds(30))
    let now = clock.monotonic
    #expect(miner.isSilent(since: now))
    let waiter = miner.addWaiter()
    #expect(!miner.isSilent(since: now))
    waiter.map(miner.remove)
    #expect(!miner.isSilent(since: now))
    clock.advance(by: Seconds(1))
    #expect(miner.isSilent(since: clock.monotonic))
    miner.heard(keyHash: "other")
    #expect(!miner.isSilent(since: clock.monotonic) && miner.keyHash == "other")
  }
}
