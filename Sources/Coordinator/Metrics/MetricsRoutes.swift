import Clocks
import HTTPTypes
import Hummingbird
import Instruments
import Marketplace
import Store

/// `GET /metrics`, for Prometheus: without a key, without a rate limit.
struct MetricsRoutes {
  let market: Market
  let requests: RequestMetrics

  /// What the store says of the market as a whole.
  struct MarketState: Sendable {
    var jobs: [JobState: Int]
    var oldest: Timestamp?
    var ready: Int
    var miners: Int

    init(in store: any MarketReader) throws {
      jobs = try store.counts()
      oldest = try store.oldestPending()
      ready = try store.pendingClasses().reduce(0) { $0 + $1.ready }
      miners = try store.miners().count
    }
  }

  func respond() async -> Response {
    // A store that fails is told as such; the rest is what an operator needs then.
    let state = try? await market.store.read { try MarketState(in: $0) }
    let free = try? await market.blockingly { [files = market.files] in try files.freeBytes() }
    let facts = try? await market.blockingly { ProcessFacts() }
    var page = Exposition()
    page.family("aitbc_build_info", .gauge, "The program; the value is always 1.")
    page.sample([("version", CoordinatorServer.version)], 1)
    page.gauge("aitbc_store_readable", "1 when the store answered this request's read.", state == nil ? 0 : 1)
    if let state { write(state, to: &page) }
    writeMiners(total: state?.miners, to: &page)
    writeWork(to: &page)
    writeStore(to: &page)
    if let free { page.gauge("aitbc_disk_free_bytes", "Free space where the data lies.", free) }
    page.gauge(
      "aitbc_disk_floor_bytes", "Free space under which no new work is taken.", market.configuration.diskFloor)
    requests.write(to: &page)
    facts?.write(to: &page)
    return .raw(Array(page.text.utf8), type: Exposition.mediaType, headers: [.cacheControl: "no-store"])
  }

  private func write(_ state: MarketState, to page: inout Exposition) {
    page.family("aitbc_jobs", .gauge, "Jobs that are known, by status.")
    for status in JobState.allCases where status != .skipped {
      page.sample([("status", status.rawValue)], Int64(state.jobs[status] ?? 0))
    }
    page.gauge("aitbc_queue_depth", "Pending jobs.", Int64(state.jobs[.pending] ?? 0))
    page.gauge("aitbc_queue_claimable", "Pending jobs that a fitting miner could have now.", Int64(state.ready))
    let age = state.oldest.map { max(0, market.clock.now.millisecondsSince($0)) } ?? 0
    page.gauge(
      "aitbc_queue_oldest_age_seconds", "Since the oldest pending job was submitted; 0 when none is.", age / 1_000)
  }

  private func writeMiners(total: Int?, to page: inout Exposition) {
    let members = market.dispatcher.members
    var statuses = Dictionary(grouping: members, by: \.status).mapValues(\.count)
    statuses[.offline] = total.map { max(0, $0 - members.count) }
    page.family("aitbc_miners", .gauge, "Miners that are registered, by status.")
    for status in [MinerStatus.online, .busy, .draining, .offline] {
      page.sample([("status", status.rawValue)], Int64(statuses[status] ?? 0))
    }
    page.gauge(
      "aitbc_miner_slots", "Slots of connected miners.", Int64(members.reduce(0) { $0 + $1.record.offer.slots }))
    page.gauge(
      "aitbc_miner_slots_free", "Slots that can take a job now.", Int64(members.reduce(0) { $0 + $1.freeSlots }))
    page.gauge("aitbc_leases", "Tries that miners hold.", Int64(market.dispatcher.leaseCount))
  }

  private func writeWork(to page: inout Exposition) {
    let metrics = market.metrics
    page.counter("aitbc_jobs_submitted_total", "Jobs taken in, reruns included.", metrics.submitted.value)
    page.counter("aitbc_job_claims_total", "Tries placed on a miner.", metrics.claims.value)
    page.counter(
      "aitbc_tries_returned_total", "Tries that were lost, failed or refused with the job waiting again.",
      metrics.returned.value)
    page.family("aitbc_jobs_ended_total", .counter, "Jobs that ended, by status.")
    for (state, count) in metrics.ends where state != .skipped { page.sample([("status", state.rawValue)], count) }
    page.counter("aitbc_leases_renewed_total", "Renewals of leases.", metrics.leases.renewed.value)
    page.counter("aitbc_leases_expired_total", "Leases that ran out.", metrics.leases.expired.value)
    page.gauge("aitbc_feeds_open", "Live feeds over WebSocket.", Int64(market.hub.admission.openCount))
    let hub = market.hub.statistics
    page.gauge("aitbc_feed_topics", "Accounts and jobs that are watched, and the market.", Int64(hub.topics))
    page.counter("aitbc_feed_events_published_total", "Durable events handed to the feeds.", metrics.events.value)
    page.counter("aitbc_feed_slow_closes_total", "Feeds closed with 4008: too slow.", Int64(hub.slowClosed))
  }

  private func writeStore(to page: inout Exposition) {
    let store = market.metrics.store
    page.counter("aitbc_store_commits_total", "Commits that are on disk.", store.durations.reading.count)
    page.counter(
      "aitbc_store_commit_failures_total", "Groups of operations that did not reach it.", store.failures.value)
    page.counter(
      "aitbc_store_operations_total", "Operations that were answered after a commit.", store.operations.value)
    page.family(
      "aitbc_store_commit_duration_seconds", .histogram, "From a group's first operation to its being on disk.")
    page.sample([], store.durations)
    page.family("aitbc_store_commit_operations", .histogram, "Operations that shared a commit.")
    page.sample([], store.groups)
  }
}
