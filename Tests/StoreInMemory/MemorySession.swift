import Clocks
import Marketplace
import Store

/// One operation's view of the tables, and its changes.
final class MemorySession: MarketTransaction {
  var tables: MemoryTables
  let clock: any MarketClock
  let sabotage: Set<Sabotage>
  /// What was appended to the log.
  private(set) var events: [JobEvent] = []
  /// The first failure of the store itself.
  private(set) var failure: StoreError?

  init(_ tables: MemoryTables, clock: any MarketClock, sabotage: Set<Sabotage>) {
    self.tables = tables
    self.clock = clock
    self.sabotage = sabotage
  }

  /// Notes a failure; for `throw`.
  func failed(_ text: String) -> StoreError {
    let error = StoreError.failed(text)
    failure = failure ?? error
    return error
  }

  // MARK: Events

  @discardableResult func append(_ event: JobEvent) throws -> Int64 {
    guard tables.jobs[event.job] != nil else { throw failed("no job \(event.job)") }
    var event = event
    event.sequence = Int64(tables.events.count) + 1
    tables.events.append(Row(event))
    events.append(event)
    return event.sequence
  }

  func events(after sequence: Int64, account: AccountID?, job: JobID?, limit: Int) throws -> [JobEvent] {
    let start = min(max(0, Int(clamping: sequence)), tables.events.count)
    var found: [JobEvent] = []
    for row in tables.events[start...] where found.count < limit {
      let event = row.value
      if (account == nil || event.account == account) && (job == nil || event.job == job) { found.append(event) }
    }
    return found
  }

  func lastSequence() throws -> Int64 { Int64(tables.events.count) }
  func firstSequence() throws -> Int64 { 1 }

  // MARK: Small tables

  func virtualTime() throws -> Int64 { tables.virtualTime }
  func setVirtualTime(_ time: Int64) throws { tables.virtualTime = time }

  func miner(_ id: MinerID) throws -> MinerRecord? { tables.miners[id] }
  func miner(instanceHash: String) throws -> MinerRecord? {
    tables.miners.values.first { $0.instanceHash == instanceHash }
  }
  func miners() throws -> [MinerRecord] { tables.miners.values.sorted { $0.id < $1.id } }
  func save(_ miner: MinerRecord) throws { tables.miners[miner.id] = miner }
  func removeMiner(_ id: MinerID) throws { tables.miners[id] = nil }
}
