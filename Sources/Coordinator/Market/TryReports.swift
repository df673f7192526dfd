import Clocks
import Cryptography
import JSON
import Marketplace
import Store
import Wire

/// What becomes of a miner's word that a try is over.
enum ReportOutcome: Sendable {
  /// It is durable.
  case settled(Job)
  /// The lease was not the miner's any more.
  case stale
  /// Something that the report names has not arrived: send it, then report again.
  case incomplete(String, logs: [(LogStream, Int64)])
}

extension Market {
  /// Checks that everything the report names has arrived whole, makes it durable, and ends the try.
  /// - usage: in place of the report's own figures, as a REST miner said it.
  func end(
    _ report: TryReport, lease: LeaseTable.Lease, usage: JSONValue? = nil
  ) async throws -> ReportOutcome {
    let facts = [(LogStream.stdout, report.stdout), (LogStream.stderr, report.stderr)]
    let missing = try await logs.finish(lease, facts: facts)
    guard missing.isEmpty else { return .incomplete("log bytes are missing", logs: missing) }
    let backoff = retryDelay(after: lease.tryNumber)
    let progress = progress.latest(of: lease.job, tryNumber: lease.tryNumber)
    let signature = MinerSignatures.checked(report, of: lease, log: log)
    let (now, fee) = (clock.now, configuration.fee)
    do {
      let operation = ReportedEnd(
        report: report, lease: lease, usage: usage, signature: signature, progress: progress, backoff: backoff,
        fee: fee, now: now, resultLimit: configuration.inlineResultLimit)
      let job = try await store.write { try operation.run(in: $0) }
      settle(job, lease: lease, hasFiles: report.hasFiles)
      for (stream, fact) in facts where job.lastTry == lease.tryNumber {
        hub.logEnded(job: job.id, tryNumber: lease.tryNumber, stream: stream, fact: fact)
      }
      return .settled(job)
    } catch MarketError.staleLease {
      return .stale
    } catch let missing as MissingArtifact {
      return .incomplete("artifact \(missing.path) has not arrived", logs: [])
    }
  }

  /// The lease of a try ran out: the miner is lost for it.
  func lose(_ lease: LeaseTable.Lease, reason: String) async throws {
    let (now, fee) = (clock.now, configuration.fee)
    let backoff = retryDelay(after: lease.tryNumber)
    do {
      let operation = EndTry(losing: lease, reason, backoff: backoff, fee: fee, now: now)
      let job = try await store.write { try operation.run(in: $0) }
      settle(job, lease: lease, hasFiles: true)
    } catch MarketError.staleLease {
      dispatcher.release(lease.hash)
    }
  }

  /// The miner let it run past its time-out and did not end it; its lease was taken back.
  func timeOut(_ lease: LeaseTable.Lease) async throws {
    let (now, fee) = (clock.now, configuration.fee)
    let backoff = retryDelay(after: lease.tryNumber)
    do {
      let job = try await store.write { market in
        guard let job = try market.job(lease.job) else { throw MarketError.jobNotFound }
        return try EndTry(timingOut: lease, of: job, backoff: backoff, fee: fee, now: now).run(in: market)
      }
      settle(job, lease: lease, hasFiles: true)
    } catch MarketError.staleLease {
      dispatcher.release(lease.hash)
    }
  }

  /// The program of a try was started. The change of progress that was waiting for it, for the feed.
  func start(_ lease: LeaseTable.Lease) async throws -> ProgressBoard.Change? {
    let operation = StartTry(leaseHash: lease.hash, miner: lease.miner, now: clock.now)
    let job = try await store.write { try operation.run(in: $0) }
    guard !job.state.isTerminal else { return nil }
    dispatcher.started(lease.hash, timeout: job.specification.timeout)
    return progress.begin(job, at: clock.now)
  }

  /// The miner gave an assignment back unstarted.
  func refuse(_ lease: LeaseTable.Lease, reason: String, backoff: Seconds = Seconds(1)) async throws {
    let (now, fee) = (clock.now, configuration.fee)
    do {
      let operation = EndTry(refusing: lease, reason, backoff: backoff, fee: fee, now: now)
      let job = try await store.write { try operation.run(in: $0) }
      settle(job, lease: lease, hasFiles: false)
    } catch MarketError.staleLease {
      dispatcher.release(lease.hash)
    }
  }

  /// What follows in memory from a try that is over: its slot, its progress, its package.
  private func settle(_ job: Job, lease: LeaseTable.Lease, hasFiles: Bool) {
    progress.end(job.id)
    dispatcher.release(lease.hash)
    logs.close(lease.hash)
    guard job.state.isTerminal else { return dispatcher.wake() }
    history.record(job)
    if hasFiles { packages.prepare(job.id) }
  }

  private func retryDelay(after tryNumber: Int) -> Seconds {
    var random = SecureRandom()
    return Backoff.betweenTries.delay(attempt: tryNumber - 1, using: &random)
  }
}

extension TryReport {
  /// Whether anything lies on disk for the package.
  var hasFiles: Bool { stdout.length > 0 || stderr.length > 0 || !artifacts.isEmpty }
}
