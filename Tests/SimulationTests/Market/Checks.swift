import Marketplace
import Store
import StoreInMemory
import Wire

/// What must be true, looked at after every step that could change it.
final class Checks: @unchecked Sendable {
  private let world: World
  var store: MemoryStore?
  /// Reports with tokens that were over.
  var refusedTokens = 0

  /// What was acknowledged, as clients know it.
  private(set) var acknowledged: [JobID: String] = [:]
  private var canceled: Set<JobID> = []
  private var jobOfKey: [String: JobID] = [:]
  /// The log, replayed.
  private(set) var states: [JobID: JobState] = [:]
  private var ended: [JobID: Job] = [:]
  private(set) var lastSequence: Int64 = 0
  private var activeRunKeys: [String: JobID] = [:]
  /// Payloads that exist.
  private var running: [JobID: [(tryNumber: Int, host: Host)]] = [:]
  private var starts: [JobID: Int] = [:]
  private var limits: [JobID: Int] = [:]

  init(_ world: World) { self.world = world }

  // MARK: Clients

  func acknowledged(_ job: JobID, key: String) {
    if let known = jobOfKey[key], known != job { world.violate("G2: \(key) is \(known) and \(job)") }
    jobOfKey[key] = job
    acknowledged[job] = key
  }

  func cancelAcknowledged(_ job: JobID) { canceled.insert(job) }

  // MARK: Payloads

  func payloadStarted(_ assignment: Assignment, on host: Host) {
    let job = assignment.job
    world.note("\(host.name) runs \(job) try \(assignment.tryNumber)")
    if let other = running[job]?.first(where: { !$0.host.isFrozen }) {
      world.violate(
        "G6: try \(assignment.tryNumber) of \(job) starts on \(host.name) while try \(other.tryNumber) runs on "
          + other.host.name)
    }
    running[job, default: []].append((assignment.tryNumber, host))
    starts[job, default: 0] += 1
    limits[job] = assignment.specification.maxTries
    if starts[job] ?? 0 > assignment.specification.maxTries {
      world.violate("G9: \(job) was started \(starts[job] ?? 0) times of \(assignment.specification.maxTries)")
    }
  }

  func payloadEnded(_ assignment: Assignment, on host: Host) {
    running[assignment.job]?.removeAll { $0.tryNumber == assignment.tryNumber && $0.host === host }
  }

  func payloadsEnded(on host: Host) {
    for job in running.keys { running[job]?.removeAll { $0.host === host } }
  }

  // MARK: The store

  /// A group became durable.
  func committed(_ events: [JobEvent]) {
    guard let store, !events.isEmpty else { return }
    for event in events {
      world.note("event \(event.sequence) \(event.job) \(event.state.rawValue) try \(event.tryNumber)")
      replay(event)
    }
    do {
      try store.look { market in
        for job in Set(events.map(\.job)).sorted() { try check(job, in: market) }
        try checkLeases(in: market)
      }
    } catch {
      world.violate("the store can't be read: \(error)")
    }
  }

  private func replay(_ event: JobEvent) {
    if event.sequence != lastSequence + 1 { world.violate("G3: event \(event.sequence) after \(lastSequence)") }
    lastSequence = event.sequence
    let before = states[event.job]
    let isLegal =
      before.map { state in JobInput.allCases.contains { JobTransition.next(state, $0) == event.state } }
      ?? (event.state == .pending)
    if !isLegal { world.violate("G3: \(event.job) went from \(before?.rawValue ?? "nothing") to \(event.state)") }
    if before?.isTerminal == true { world.violate("G7: \(event.job) had ended \(before?.rawValue ?? "")") }
    states[event.job] = event.state
    let mayRun = event.state.isHeld
    if let other = running[event.job]?.first(where: { !$0.host.isFrozen && (!mayRun || $0.tryNumber < event.tryNumber) }
    ) {
      world.violate(
        "\(event.state == .canceled ? "G8" : "G6"): \(event.job) is \(event.state) while try \(other.tryNumber) runs "
          + "on \(other.host.name)")
    }
  }

  private func check(_ id: JobID, in market: any MarketReader) throws {
    guard let job = try market.job(id) else { return world.violate("G1: \(id) has events and no row") }
    if job.state != states[id] {
      world.violate("G3: \(id) is \(job.state), its log says \(String(describing: states[id]))")
    }
    if job.triesUsed > job.specification.maxTries { world.violate("G9: \(id) used \(job.triesUsed) tries") }
    if let known = ended[id], known != job { world.violate("G7: \(id) changed after its end") }
    if job.state.isTerminal { ended[id] = job }
    try checkKeys(of: job)
    try checkMoney(of: job, in: market)
    let held = try market.tries(of: id).filter { $0.state == .held }
    if held.count != (job.state.isHeld ? 1 : 0) { world.violate("G4: \(id) is \(job.state) with \(held.count) leases") }
  }

  private func checkKeys(of job: Job) throws {
    if let key = job.specification.labels["request"] {
      if let known = jobOfKey[key], known != job.id { world.violate("G2: \(key) made \(known) and \(job.id)") }
      jobOfKey[key] = job.id
    }
    guard let key = job.specification.runKey else { return }
    if job.state.isTerminal {
      if activeRunKeys[key] == job.id { activeRunKeys[key] = nil }
    } else {
      if let other = activeRunKeys[key], other != job.id, states[other]?.isTerminal == false {
        world.violate("G2: run key \(key) is active as \(other) and \(job.id)")
      }
      activeRunKeys[key] = job.id
    }
  }

  /// Charges are only for accepted results and for what a canceled job ran.
  private func checkMoney(of job: Job, in market: any MarketReader) throws {
    let lines = try market.ledger(of: job.id)
    let sum = lines.reduce(0) { $0 + $1.amount.micros }
    if sum != 0 { world.violate("G14: the ledger of \(job.id) sums to \(sum)") }
    if !lines.isEmpty, job.state != .completed, job.state != .canceled {
      world.violate("G14: \(job.id) is \(job.state) and was charged")
    }
    let paid = lines.filter { $0.party == job.account.rawValue }.reduce(0) { $0 + $1.amount.micros }
    if job.state.isTerminal, paid != -job.cost.micros { world.violate("G14: \(job.id) cost \(job.cost), paid \(paid)") }
  }

  private func checkLeases(in market: any MarketReader) throws {
    var seen: Set<JobID> = []
    for attempt in try market.heldTries() {
      guard let job = try market.job(attempt.job) else { continue }
      if !seen.insert(job.id).inserted { world.violate("G4: two live leases of \(job.id)") }
      if !job.state.isHeld || job.lastTry != attempt.number || job.miner != attempt.miner {
        world.violate("G4: try \(attempt.number) of \(job.id) is held; the job is \(job.state), try \(job.lastTry)")
      }
    }
  }

  /// The coordinator is back: all that was acknowledged is there, and nothing of what had ended has changed.
  func restarted() {
    guard let store else { return }
    do {
      try store.look { market in
        for (id, key) in acknowledged where try market.job(id) == nil {
          world.violate("G1: \(key) was acknowledged as \(id), which is gone")
        }
        for (id, known) in ended where try market.job(id) != known { world.violate("G7: \(id) changed after its end") }
      }
    } catch {
      world.violate("the store can't be read: \(error)")
    }
  }

  // MARK: The end

  var isQuiet: Bool { states.values.allSatisfy(\.isTerminal) && running.values.allSatisfy(\.isEmpty) }

  /// Every job has ended; what clients were told held.
  func finish() {
    restarted()
    for (id, state) in states where !state.isTerminal { world.violate("liveness: \(id) is still \(state)") }
    for (id, runs) in running where !runs.isEmpty { world.violate("liveness: a payload of \(id) still runs") }
    for id in canceled where states[id] == .expired || states[id] == .lost {
      world.violate("\(id): its cancel was acknowledged, and it is \(states[id]?.rawValue ?? "")")
    }
  }
}
