import Clocks
import FoundationEssentials
import Glibc
import Logging
import Marketplace
import Store
import Synchronization
import Testing
import TestRandomness
import Wire

@testable import Coordinator

/// A dispatcher with a store and simulated miners, driven step by step from a seed.
final class DispatchWorld {
  /// A miner's end of the channel: remembers what it was given.
  final class Link: MinerLink {
    let miner: MinerRecord
    /// The same, for a test that lets the dispatcher run by itself.
    let arrivals: AsyncStream<Assignment>
    private let arrival: AsyncStream<Assignment>.Continuation
    private let given = Mutex<[Assignment]>([])

    init(_ miner: MinerRecord) {
      self.miner = miner
      (arrivals, arrival) = AsyncStream.makeStream()
    }

    func send(_ command: MinerCommand) {
      guard case .assign(let assignment) = command else { return }
      given.withLock { $0.append(assignment) }
      arrival.yield(assignment)
    }

    func replace() {}
    func dismiss(_ reason: MinerDismissal) {}
    var keyHash: String { "" }

    /// What came since the last call.
    func take() -> [Assignment] {
      given.withLock { given in
        defer { given = [] }
        return given
      }
    }
  }

  struct Held {
    let link: Link
    let assignment: Assignment
  }

  let clock = ManualClock()
  let store: any MarketStore
  let dispatcher: Dispatcher
  var random: SeededGenerator
  private let folder: String
  private(set) var accounts: [Account] = []
  private(set) var links: [MinerID: (link: Link, connection: Int)] = [:]
  private(set) var held: [Held] = []
  /// Leases that began in the commit of a submission: what came later was not passed over by these.
  private(set) var placed: Set<String> = []

  init(seed: UInt64, runningLimit: Int? = nil) throws {
    random = SeededGenerator(seed: seed)
    var template = Array("/tmp/dispatch-test-XXXXXX".utf8CString)
    folder = try #require(
      template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } })
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    store = try SQLiteStore.open(directory: folder, clock: clock, log: log)
    dispatcher = Dispatcher(
      store: store, clock: clock, leaseTerm: Seconds(15), runningLimit: runningLimit, log: log)
  }

  func close() async throws {
    try await store.close()
    try FileManager.default.removeItem(atPath: folder)
  }

  func id<Kind: IdentifierKind>(_: Kind.Type = Kind.self) -> Identifier<Kind> {
    Identifier(at: clock.now, using: &random)
  }

  func addAccount(_ plan: Plan) async throws {
    let account = Account(id: id(), name: "a\(accounts.count)", plan: plan, createdAt: clock.now)
    try await store.write { try $0.save(account) }
    accounts.append(account)
  }

  func join(_ offer: MinerOffer) async throws {
    let operation = Registration(
      account: accounts[0].id, instanceHash: "\(random.next())", name: "m", version: "1", offer: offer, newID: id(),
      now: clock.now)
    let record = try await store.write { try operation.run(in: $0).miner }
    let link = Link(record)
    let answer = dispatcher.connect(record, link: link, named: [], held: [])
    links[record.id] = (link, answer.connection)
    dispatcher.welcomed(record.id, connection: answer.connection)
  }

  /// A miner is gone, and its leases run out.
  func leave(_ miner: MinerID) async throws {
    guard let (_, connection) = links.removeValue(forKey: miner) else { return }
    dispatcher.disconnect(miner, connection: connection)
    for lost in held where lost.link.miner.id == miner { try await end(lost, .lost(reason: "gone"), by: nil) }
  }

  func submit(_ specification: JobSpecification, by account: Account) async throws -> Job {
    let operation = Submission(account: account.id, specification: specification, newID: id(), now: clock.now)
    guard let placing = dispatcher.beginPlacing(specification) else {
      let job = try await store.write { try operation.run(in: $0).job }
      dispatcher.wake()
      return job
    }
    #expect(try await ready().isEmpty, "a job is placed while others wait")
    let (job, outcome) = try await store.write { (try operation.run(in: $0).job, try placing.claim(in: $0)) }
    dispatcher.placed(placing, job.id, outcome)
    if !outcome.claimed.isEmpty { placed.insert(placing.lease) }
    return job
  }

  func end(_ one: Held, _ end: TryEnd, by miner: MinerID?) async throws {
    let hash = LeaseToken.hash(one.assignment.lease)
    let operation = EndTry(
      leaseHash: hash, miner: miner, end: end, backoff: Seconds(milliseconds: 500), now: clock.now)
    _ = try await store.write { try operation.run(in: $0) }
    dispatcher.release(hash)
    held.removeAll { $0.assignment.lease == one.assignment.lease }
  }

  /// Lets the dispatcher work until it finds nothing more to do. Returns what was assigned, by miner.
  func settle() async throws -> [Held] {
    let now = clock.now
    if try await store.write({ try $0.releaseAvailable(at: now) }) > 0 { dispatcher.wake() }
    while try await dispatcher.claimOnce() {}
    let given = links.values.flatMap { entry in entry.link.take().map { Held(link: entry.link, assignment: $0) } }
    held += given
    return given
  }

  /// Every claimable job, first in the queue first.
  func ready() async throws -> [Job] {
    try await store.read { market in
      try market.claimable(classes: try market.pendingClasses().map(\.id), limit: 1_000_000)
    }
  }
}
