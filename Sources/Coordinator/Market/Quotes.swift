import Clocks
import JSON
import Marketplace
import Store
import Synchronization
import Wire

/// What a job would cost and who could run it, from the fleet as it is now. One for each request: with thousands of
/// miners and jobs, the miners are asked once for each kind of requirements.
final class Quotes: Sendable {
  private let surveys = Mutex<[Requirements: PendingReason.Survey]>([:])
  private let members: [Fleet.Member]
  private let history: DurationHistory
  private let heldBack: Set<AccountID>
  private let now: Timestamp

  init(market: Market) {
    members = market.dispatcher.members
    history = market.history
    heldBack = market.dispatcher.accountsHeldBack
    now = market.clock.now
  }

  /// The estimates that go into a job's document.
  func context(_ specification: JobSpecification, priority: Priority? = nil) -> JobContext {
    var context = JobContext()
    let seconds = history.estimate(specification)
    context.estimatedSeconds = seconds
    context.estimatedCost = Pricing.charge(
      milliseconds: seconds * 1000, gpus: specification.constraints.devices, hourly: price(specification),
      priority: priority ?? specification.priority)
    return context
  }

  /// The same for a job that is about to be submitted, with why it will wait.
  func context(_ specification: JobSpecification, account: AccountID, at now: Timestamp) -> JobContext {
    var context = context(specification)
    var random = SystemRandomNumberGenerator()
    let job = Job(id: JobID(at: now, using: &random), account: account, specification: specification, createdAt: now)
    context.pendingReason = pendingReason(job)?.json
    return context
  }

  /// The cheapest fitting miner's price; without one, the list price of the wanted GPU.
  func price(_ specification: JobSpecification) -> Money {
    survey(Requirements(of: specification)).lowestPrice
      ?? specification.constraints.gpu.flatMap { Pricing.listPrice(gpu: $0) } ?? Pricing.defaultPrice
  }

  func fitting(_ specification: JobSpecification) -> [Fleet.Member] {
    survey(Requirements(of: specification)).fitting
  }

  private func survey(_ requirements: Requirements) -> PendingReason.Survey {
    surveys.withLock { surveys in
      if let known = surveys[requirements] { return known }
      let survey = PendingReason.Survey(requirements, among: members)
      surveys[requirements] = survey
      return survey
    }
  }

  func pendingReason(_ job: Job) -> PendingReason? {
    PendingReason(
      for: job, survey(Requirements(of: job.specification)), isHeldBack: heldBack.contains(job.account), at: now)
  }

  /// When a miner will probably take a pending job: at once where slots are free, else when enough of those before it
  /// have had their turn, going by how long such jobs took. Nil when nobody fits, and when none ever ran.
  func start(of job: Job, _ position: QueuePosition) -> Timestamp? {
    let survey = survey(Requirements(of: job.specification))
    guard survey.slots > 0 else { return nil }
    let ready = max(now, job.availableAt)
    let waiting = position.before - survey.freeSlots
    if waiting < 0 { return ready }
    guard let mean = history.mean(job.specification) else { return nil }
    // A busy slot becomes free every mean / slots.
    return max(ready, now + Seconds(milliseconds: mean.milliseconds * Int64(waiting + 1) / Int64(survey.slots)))
  }

  /// When it ends, if it takes as long as its kind did. Nil without history, and when it has taken longer already.
  func completion(of job: Job, from start: Timestamp? = nil) -> Timestamp? {
    guard !job.state.isTerminal, let mean = history.mean(job.specification), let start = start ?? job.startedAt
    else { return nil }
    let end = start + mean
    return end > now ? end : nil
  }

  /// The message when the owner asked to fail at once and nobody connected could ever run it.
  func unschedulable(_ specification: JobSpecification) -> String? {
    guard specification.failsFast, fitting(specification).isEmpty else { return nil }
    return members.isEmpty ? "no miner is connected" : "no connected miner fits its constraints"
  }

  /// The answer of a dry run.
  func dryRun(_ job: Job) -> JSONValue {
    let context = context(job.specification)
    let fitting = fitting(job.specification)
    var wishes = job.specification.json.object ?? JSONObject()
    // The stored form counts milliseconds.
    if let time = job.specification.notBefore { wishes["not_before"] = .string(time.description) }
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
      "pending_reason": pendingReason(job)?.json ?? .null, "job": .object(wishes),
    ]
  }
}
