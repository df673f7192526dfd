import Clocks
import JSON
import Marketplace
import Store
import Store
import Wire

/// What a job would cost and who could run it, from the fleet as it is now.
struct Quotes {
  private let members: [Fleet.Member]
  private let history: DurationHistory
  private let now: Timestamp

  init(market: Market) {
    members = market.dispatcher.members
    history = market.history
    now = market.clock.now
  }

  /// The estimates that go into a job's document.
  func context(_ specification: JobSpecification) -> JobContext {
    var context = JobContext()
    let seconds = history.estimate(specification)
    context.estimatedSeconds = seconds
    context.estimatedCost = Pricing.charge(
      milliseconds: seconds * 1000, gpus: specification.constraints.devices, hourly: price(specification),
      priority: specification.priority)
    return context
  }

  /// The cheapest fitting miner's price; without one, the list price of the wanted GPU.
  func price(_ specification: JobSpecification) -> Money {
    fitting(specification).map(\.record.offer.effectivePrice).min()
      ?? specification.constraints.gpu.flatMap { Pricing.listPrice(gpu: $0) } ?? Pricing.defaultPrice
  }

  func fitting(_ specification: JobSpecification) -> [Fleet.Member] {
    let requirements = Requirements(of: specification)
    return members.filter { requirements.missing(in: $0.record.offer).isEmpty }
  }

  func pendingReason(_ job: Job) -> PendingReason? { PendingReason(for: job, among: members, at: now) }

  /// The message when the owner asked to fail at once and nobody connected could ever run it.
  func unschedulable(_ specification: JobSpecification) -> String? {
    guard specification.failsFast, fitting(specification).isEmpty else { return nil }
    return members.isEmpty ? "no miner is connected" : "no connected miner fits its constraints"
  }

  /// The answer of a dry run.
  func dryRun(_ job: Job) -> JSONValue {
    let context = context(job.specification)
    let fitting = fitting(job.specification)
    return [
      "dry_run": true, "could_run": .bool(!fitting.isEmpty), "fitting_miners": .integer(Int64(fitting.count)),
      "miners": .array(
        fitting.prefix(20).map {
          [
            "miner_id": .string($0.record.id.rawValue), "name": .string($0.record.name),
            "price": .string($0.record.offer.effectivePrice.description), "status": .string($0.status.rawValue),
          ]
        }),
      "price": .string(price(job.specification).description),
      "estimated_cost": JSONValue(context.estimatedCost?.description),
      "estimated_time_seconds": JSONValue(context.estimatedSeconds),
      "pending_reason": pendingReason(job)?.json ?? .null, "job": job.specification.json,
    ]
  }
}
