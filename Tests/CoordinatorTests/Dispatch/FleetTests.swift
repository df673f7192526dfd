import Marketplace
import Store
import Testing

@testable import Coordinator

struct FleetTests {
  static func record(_ number: UInt64, slots: Int, _ change: (inout MinerOffer) -> Void = { _ in }) -> MinerRecord {
    var offer = MinerOffer(runners: ["process", "noop"], slots: slots)
    change(&offer)
    let now = Timestamp(milliseconds: 0)
    return MinerRecord(
      id: Fixture.id(MinerKind.self, number), instanceHash: "\(number)", account: Fixture.id(AccountKind.self, 1),
      name: "m\(number)", version: "1", offer: offer, registeredAt: now, lastSeenAt: now)
  }

  @discardableResult
  static func join(_ fleet: inout Fleet, _ record: MinerRecord, held: Set<String> = []) -> Int {
    let connection = fleet.connect(record, held: held)
    fleet.welcome(record.id, connection: connection)
    return connection
  }

  @Test func `nothing is given before the welcome`() {
    var fleet = Fleet()
    let record = Self.record(1, slots: 1)
    let connection = fleet.connect(record, held: [])
    #expect(fleet.available.isEmpty)
    fleet.welcome(record.id, connection: connection + 1)
    #expect(fleet.available.isEmpty)
    fleet.welcome(record.id, connection: connection)
    #expect(fleet.available.count == 1)
  }

  @Test func `the emptiest comes first, the full not at all`() {
    var fleet = Fleet()
    for (number, slots, held) in [(1, 2, ["a"]), (2, 3, []), (3, 1, ["b"])] as [(UInt64, Int, Set<String>)] {
      Self.join(&fleet, Self.record(number, slots: slots), held: held)
    }
    #expect(fleet.available.sorted { $0.comes(before: $1) }.map(\.record.name) == ["m2", "m1"])
    #expect(fleet.status(of: Fixture.id(MinerKind.self, 3)) == .busy)
    #expect(fleet.status(of: Fixture.id(MinerKind.self, 9)) == .offline)
  }

  @Test func `slots are taken and given back once`() {
    var fleet = Fleet()
    let record = Self.record(1, slots: 1)
    Self.join(&fleet, record)
    fleet.hold("a", by: record.id)
    fleet.hold("a", by: record.id)
    #expect(fleet.available.isEmpty)
    fleet.release("a", by: record.id)
    #expect(fleet.available.count == 1)
  }

  @Test func `a draining miner takes nothing`() {
    var fleet = Fleet()
    let record = Self.record(1, slots: 4)
    Self.join(&fleet, record)
    fleet.drain(record.id)
    #expect(fleet.available.isEmpty)
    #expect(fleet.status(of: record.id) == .draining)
  }

  @Test func `the end of an old connection does not remove the new one`() {
    var fleet = Fleet()
    let record = Self.record(1, slots: 1)
    let old = Self.join(&fleet, record)
    let new = Self.join(&fleet, record)
    let oldCounted = fleet.disconnect(record.id, connection: old)
    #expect(!oldCounted)
    #expect(fleet.status(of: record.id) == .online)
    let newCounted = fleet.disconnect(record.id, connection: new)
    #expect(newCounted)
    #expect(fleet.status(of: record.id) == .offline)
  }
}

struct PendingReasonTests {
  private let now = Timestamp(milliseconds: 1000)

  private func job(_ change: (inout JobSpecification) -> Void = { _ in }) -> Job {
    var specification = JobSpecification(runner: "process", command: ["true"])
    change(&specification)
    return Job(
      id: Fixture.id(JobKind.self, 1), account: Fixture.id(AccountKind.self, 1), specification: specification,
      createdAt: now)
  }

  private func member(_ slots: Int, held: Set<String> = [], _ change: (inout MinerOffer) -> Void = { _ in })
    -> Fleet.Member
  {
    var fleet = Fleet()
    let record = FleetTests.record(UInt64(slots), slots: slots, change)
    FleetTests.join(&fleet, record, held: held)
    return fleet.members[record.id]
      ?? Fleet.Member(
        record: record, isDraining: false, held: held, connection: 0, lastSeenAt: record.lastSeenAt)
  }

  @Test func `nobody is connected`() {
    #expect(PendingReason(for: job(), among: [], at: now)?.code == .noMiners)
  }

  @Test func `a free fitting miner needs no reason`() {
    #expect(PendingReason(for: job(), among: [member(1)], at: now) == nil)
  }

  @Test func `all that fit are busy`() {
    let reason = PendingReason(for: job(), among: [member(1, held: ["x"])], at: now)
    #expect(reason?.code == .allBusy)
    #expect(reason?.fittingMiners == 1)
  }

  @Test func `nobody fits, with what is lacking and who is nearest`() {
    let wanting = job {
      $0.constraints.gpu = "A100"
      $0.constraints.region = "eu"
    }
    let near = member(2) { $0.region = "eu" }
    let reason = PendingReason(for: wanting, among: [member(1), near], at: now)
    #expect(reason?.code == .noMinerFits)
    #expect(reason?.lacking[.gpu] == 2)
    #expect(reason?.lacking[.region] == 1)
    #expect(reason?.nearest?.miner == near.record.id)
  }

  @Test func `only the price is too low`() {
    let wanting = job { $0.constraints.maximumPrice = Money(micros: 1) }
    #expect(PendingReason(for: wanting, among: [member(1)], at: now)?.code == .priceTooLow)
  }

  @Test func `its account runs as many as it may`() {
    #expect(PendingReason(for: job(), among: [member(1)], isHeldBack: true, at: now)?.code == .quota)
    #expect(PendingReason(for: job(), among: [member(1, held: ["x"])], isHeldBack: true, at: now)?.code == .allBusy)
  }

  @Test func `its time has not come`() {
    let wanting = job { $0.notBefore = Timestamp(milliseconds: 2000) }
    #expect(PendingReason(for: wanting, among: [member(1)], at: now)?.code == .notBefore)
    #expect(PendingReason(for: wanting, among: [member(1)], at: Timestamp(milliseconds: 2000)) == nil)
  }
}
