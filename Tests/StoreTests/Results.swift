import JSON
import Marketplace
import Testing

@testable import Store

extension Fixture {
  /// A job that ended `after` the start of time, canceled before it ran.
  func ended(
    after: Seconds = Seconds(10), key: String? = nil, inputs: [String] = [], account: Account? = nil
  ) async throws -> Job {
    let owner = account ?? self.account
    let job = maker.job(owner.id) { specification in
      specification.runKey = key
      specification.inputs = inputs.map { JobInputFile(path: "f" + $0.prefix(4), sha256: $0) }
    }
    try await insert([job])
    let cancellation = Cancellation(
      job: job.id, account: owner.id, reason: nil, grace: Seconds(1), now: Maker.start + after)
    return try await store.write { try cancellation.run(in: $0).job }
  }

  /// A job that a miner ran from second 10 to second 12, and how it ended.
  func run(_ end: TryEnd = .completed(exitCode: 0, result: ["answer": 42])) async throws -> Job {
    let job = maker.job(account.id)
    let miner = maker.miner(account.id, instance: job.id.rawValue)
    let lease = "lease of \(job.id)"
    try await insert([job])
    return try await store.write { market in
      try market.save(miner)
      let classes = try market.pendingClasses().map(\.id)
      _ = try Claim(miner: miner.id, classes: classes, leases: [lease], now: Maker.start).run(in: market)
      let hash = LeaseToken.hash(lease)
      _ = try StartTry(leaseHash: hash, miner: miner.id, now: Maker.start + Seconds(10)).run(in: market)
      return try EndTry(
        leaseHash: hash, miner: miner.id, end: end, backoff: Seconds(0), now: Maker.start + Seconds(12)
      ).run(in: market)
    }
  }

  func stored(_ job: JobID) async throws -> Job { try #require(try await store.read { try $0.job(job) }) }

  func sweep(at now: Timestamp, limit: Int = 50) async throws -> [JobID] {
    try await store.write { try RetentionSweep(now: now, limit: limit).run(in: $0).map(\.id) }
  }
}
