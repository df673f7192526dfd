import Clocks
import Marketplace
import Store
import TestRandomness
import Wire

@testable import Coordinator
@testable import Miner
@testable import StoreInMemory

/// One job, two miners, as a value: every state of it can be gone on from in every way.
///
/// Miner 0 says that it started as soon as it gets the job; miner 1 never says so, and its word of the end comes first.
struct SmallMarket {
  enum Action: Hashable, CaseIterable {
    case claim0, claim1
    case renew0, renew1
    /// More than half a lease passes; what nobody renewed for so long twice is lost.
    case expire
    /// With the latest token, and with the first one, which may be over long since.
    case complete0, complete1, completeLate0, completeLate1
    case cancel
    /// The miner fails in a way that another try may mend.
    case retry0, retry1
    /// It gives back what it has, and takes nothing new.
    case drain0, drain1
  }

  private struct Member {
    let record: MinerRecord
    var connection = 0
    var tokens: [String] = []
    var ledger = LeaseLedger(margin: Seconds(3))
    /// Tokens whose payload runs.
    var running: Set<String> = []
    var isDraining = false
  }

  private final class Clock: MarketClock {
    let now: Timestamp
    let monotonic: MonotonicTime
    init(_ milliseconds: Int64) {
      now = Timestamp(milliseconds: 1_770_000_000_000 + milliseconds)
      monotonic = MonotonicTime(milliseconds: milliseconds)
    }
    func sleep(until deadline: MonotonicTime) async throws { throw CancellationError() }
  }

  static let term = Seconds(15)

  private var tables = MemoryTables()
  private var dispatch = DispatchState(leaseTerm: term)
  private var members: [Member] = []
  private var now: Int64 = 0
  private var nextToken = 0
  private var starts = 0
  private var ended: Job?
  let job: Job
  private let account: Account
  /// The first promise that was broken.
  private(set) var violation: String?

  init(maxTries: Int) throws {
    var generator = SeededGenerator(seed: 1)
    let wall = Clock(0).now
    account = Account(id: Identifier(at: wall, using: &generator), name: "a", plan: .free, createdAt: wall)
    var specification = JobSpecification(runner: "process")
    specification.maxTries = maxTries
    specification.timeToLive = .days(1)
    job = Job(
      id: Identifier(at: wall, using: &generator), account: account.id, specification: specification, createdAt: wall)
    for number in 0..<2 {
      let record = MinerRecord(
        id: Identifier(at: wall, using: &generator), instanceHash: "\(number)", account: account.id,
        name: "m\(number)", version: "1", offer: MinerOffer(runners: ["process"], slots: 1), registeredAt: wall,
        lastSeenAt: wall)
      var member = Member(record: record)
      member.connection = dispatch.connect(record, named: [], held: [], at: Clock(0).monotonic).connection
      _ = dispatch.welcome(record.id, connection: member.connection)
      members.append(member)
    }
    let (account, job, records) = (account, job, members.map(\.record))
    try perform { market in
      try market.save(account)
      for record in records { try market.save(record) }
      try market.insert(job)
      try market.append(JobEvent(of: job, at: wall))
    }
  }

  // MARK: Steps

  private mutating func perform<Value>(_ body: (any MarketTransaction) throws -> Value) throws -> Value {
    let session = MemorySession(tables, clock: Clock(now), sabotage: [])
    let value = try body(session)
    if let failure = session.failure { throw failure }
    tables = session.tables
    return value
  }

  private var reader: any MarketReader { MemorySession(tables, clock: Clock(now), sabotage: []) }
  private var clock: Clock { Clock(now) }

  /// False when it changes nothing, or can't be done.
  mutating func take(_ action: Action) throws -> Bool {
    switch action {
    case .claim0: try claim(0)
    case .claim1: try claim(1)
    case .renew0: renew(0)
    case .renew1: renew(1)
    case .expire: try expire()
    case .complete0: try say(0, members[0].tokens.last, nil)
    case .complete1: try say(1, members[1].tokens.last, nil)
    case .completeLate0: try say(0, late(0), nil)
    case .completeLate1: try say(1, late(1), nil)
    case .cancel: try cancel()
    case .retry0: try say(0, members[0].tokens.last, JobError(.minerError, "x"))
    case .retry1: try say(1, members[1].tokens.last, JobError(.minerError, "x"))
    case .drain0: try drain(0)
    case .drain1: try drain(1)
    }
  }

  private func late(_ number: Int) -> String? {
    members[number].tokens.count > 1 ? members[number].tokens.first : nil
  }

  private mutating func claim(_ number: Int) throws -> Bool {
    let classes = try reader.pendingClasses()
    let available = dispatch.fleet.available.filter { $0.record.id == members[number].record.id }
    guard let opening = DispatchState.openings(for: available, classes: classes).first else { return false }
    nextToken += 1
    let operation = Claim(
      miner: opening.miner, classes: opening.classes, leases: ["t\(nextToken)"], now: clock.now)
    dispatch.beginClaim()
    let outcome = try perform { try operation.outcome(in: $0) }
    for command in dispatch.granted(outcome, to: opening, at: clock.monotonic) {
      guard case .assign(let assignment) = command else { continue }
      begin(assignment, number)
      if number == 0 { try start(assignment.lease, number) }
    }
    return !outcome.claimed.isEmpty
  }

  private mutating func begin(_ assignment: Assignment, _ number: Int) {
    if members.contains(where: { !$0.running.isEmpty }) {
      violation = "G6: try \(assignment.tryNumber) starts while another runs"
    }
    starts += 1
    members[number].tokens.append(assignment.lease)
    members[number].running.insert(assignment.lease)
    members[number].ledger.grant(
      assignment.lease, milliseconds: assignment.leaseMilliseconds, from: clock.monotonic)
  }

  private mutating func receive(_ message: MinerMessage, _ number: Int) -> ([MinerCommand], MinerWork?) {
    dispatch.receive(message, from: members[number].record.id, at: clock.monotonic, wall: clock.now)
  }

  private mutating func start(_ token: String, _ number: Int) throws {
    guard case (_, .start(let lease)?) = receive(.started(lease: token), number) else { return }
    let operation = StartTry(leaseHash: lease.hash, miner: lease.miner, now: clock.now)
    let job = try perform { try operation.run(in: $0) }
    dispatch.started(lease.hash, timeout: job.specification.timeout, at: clock.monotonic)
  }

  private mutating func renew(_ number: Int) -> Bool {
    let asked = members[number].ledger.leases
    guard !asked.isEmpty, !members[number].ledger.renewal(at: clock.monotonic).isEmpty else { return false }
    for case .leases(let renewed, let lost) in receive(.renew(leases: asked), number).0 {
      for lease in members[number].ledger.answered(renewed: renewed, lost: lost) {
        members[number].running.remove(lease)
      }
    }
    return true
  }

  private mutating func expire() throws -> Bool {
    for _ in 0..<9 {
      now += 1_000
      for number in members.indices {
        for lease in members[number].ledger.fenced(at: clock.monotonic) { members[number].running.remove(lease) }
      }
      for lease in dispatch.overdue(at: clock.monotonic) {
        if members.contains(where: { $0.running.contains(lease.token ?? "") }) {
          violation = "G6: a lease is given away while its payload runs"
        }
        try end(EndTry(losing: lease, "silent", backoff: Seconds(0), fee: .none, now: clock.now), lease)
      }
    }
    return true
  }

  /// Says that a try is over, with whatever token.
  private mutating func say(_ number: Int, _ token: String?, _ error: JobError?) throws -> Bool {
    guard let token else { return false }
    members[number].running.remove(token)
    let before = try reader.job(job.id)
    let isLive = try reader.tryRecord(leaseHash: LeaseToken.hash(token))?.state == .held
    let report = TryReport(lease: token, exitCode: error == nil ? 0 : nil, error: error)
    let (replies, work) = receive(error == nil ? .done(report) : .failed(report), number)
    if case .end(let lease, let report)? = work {
      let operation = ReportedEnd(
        report: report, lease: lease, progress: nil, backoff: Seconds(0), fee: .none, now: clock.now,
        resultLimit: 1000)
      do {
        _ = try perform { try operation.run(in: $0) }
        dispatch.release(lease.hash)
        members[number].ledger.forget(token)
      } catch MarketError.staleLease {}
    } else if isLive {
      violation = "G4: the live token \(token) was refused: \(replies)"
    }
    if !isLive, try reader.job(job.id) != before { violation = "G4: a token that is over was obeyed" }
    return true
  }

  private mutating func end(_ operation: EndTry, _ lease: LeaseTable.Lease) throws {
    do { _ = try perform { try operation.run(in: $0) } } catch MarketError.staleLease {}
    dispatch.release(lease.hash)
  }

  private mutating func cancel() throws -> Bool {
    let operation = Cancellation(
      job: job.id, account: account.id, reason: nil, grace: Seconds(0), now: clock.now)
    guard let outcome = try? perform({ try operation.run(in: $0) }) else { return false }
    guard let hash = outcome.leaseHash, !outcome.wasCanceling,
      let lease = dispatch.cancel(hash, grace: Seconds(0), at: clock.monotonic),
      let number = members.firstIndex(where: { $0.record.id == lease.miner }), let token = lease.token
    else { return true }
    // The miner obeys, and says so.
    return try say(number, token, JobError(.canceled, "asked"))
  }

  private mutating func drain(_ number: Int) throws -> Bool {
    guard !members[number].isDraining else { return false }
    members[number].isDraining = true
    _ = receive(.drain, number)
    guard let token = members[number].tokens.last, members[number].running.remove(token) != nil else { return true }
    guard case (_, .refuse(let lease, _, let reason)?) = receive(.refuse(lease: token, reason: "drain"), number) else {
      return true
    }
    try end(EndTry(refusing: lease, reason, fee: .none, now: clock.now), lease)
    members[number].ledger.forget(token)
    return true
  }
}

// MARK: - What must hold

extension SmallMarket {
  /// Looks at every promise in this state.
  mutating func check() throws {
    guard violation == nil, let job = try reader.job(job.id) else { return }
    let tries = try reader.tries(of: job.id)
    let held = tries.filter { $0.state == .held }
    if held.count != (job.state.isHeld ? 1 : 0) { violation = "G4: \(job.state) with \(held.count) live leases" }
    if job.state.isHeld, held.first?.number != job.lastTry { violation = "G4: an older try is live" }
    if job.triesUsed > job.specification.maxTries { violation = "G9: \(job.triesUsed) tries used" }
    if let ended, ended != job { violation = "G7: it changed after its end" }
    if job.state.isTerminal { ended = job }
    let sum = try reader.ledger(of: job.id).reduce(0) { $0 + $1.amount.micros }
    if sum != 0 { violation = "G14: the ledger sums to \(sum)" }
    try checkLog(job)
  }

  private mutating func checkLog(_ job: Job) throws {
    var state: JobState?
    for event in try reader.events(after: 0, account: nil, job: job.id, limit: 1_000) {
      let isLegal =
        state.map { state in JobInput.allCases.contains { JobTransition.next(state, $0) == event.state } }
        ?? (event.state == .pending)
      if !isLegal { violation = "G3: \(String(describing: state)) to \(event.state)" }
      state = event.state
    }
    if state != job.state { violation = "G3: \(job.state), the log says \(String(describing: state))" }
  }

  /// All that what follows can depend on; times count from now.
  var key: [Int64] {
    var key: [Int64] = [Int64(starts)]
    if let job = try? reader.job(job.id) {
      key += [
        Int64(JobState.allCases.firstIndex(of: job.state) ?? 0), Int64(job.triesUsed), Int64(job.lastTry),
        job.cancel == nil ? 0 : 1, job.startedAt == nil ? 0 : 1,
      ]
    }
    for attempt in (try? reader.tries(of: job.id)) ?? [] {
      key += [attempt.state == .held ? 1 : 0, attempt.startedAt == nil ? 0 : 1]
    }
    for lease in dispatch.leases.leases.values.sorted(by: { $0.hash < $1.hash }) {
      key += [-1, Int64(lease.tryNumber), lease.deadline.milliseconds - now]
    }
    for member in members {
      key += [-2, member.isDraining ? 1 : 0, Int64(member.running.count), Int64(member.tokens.count)]
      for token in member.tokens.prefix(1) + member.tokens.suffix(1) {
        let attempt = try? reader.tryRecord(leaseHash: LeaseToken.hash(token))
        key += [Int64(attempt?.number ?? 0), (member.ledger.backstop(of: token)?.milliseconds ?? now) - now]
      }
    }
    return key
  }
}
