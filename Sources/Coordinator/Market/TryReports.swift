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
  func end(_ report: TryReport, lease: LeaseTable.Lease) async throws -> ReportOutcome {
    let facts = [(LogStream.stdout, report.stdout), (LogStream.stderr, report.stderr)]
    let missing = try await logs.finish(lease, facts: facts)
    guard missing.isEmpty else { return .incomplete("log bytes are missing", logs: missing) }
    let backoff = retryDelay(after: lease.tryNumber)
    let progress = progress.percent(of: lease.job, tryNumber: lease.tryNumber)
    let now = clock.now
    do {
      let operation = ReportedEnd(
        report: report, lease: lease, progress: progress, backoff: backoff, now: now,
        resultLimit: configuration.inlineResultLimit)
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
    let now = clock.now
    let backoff = retryDelay(after: lease.tryNumber)
    do {
      let job = try await store.write { try EndTry(losing: lease, reason, backoff: backoff, now: now).run(in: $0) }
      settle(job, lease: lease, hasFiles: true)
    } catch MarketError.staleLease {
      dispatcher.release(lease.hash)
    }
  }

  /// The miner gave an assignment back unstarted.
  func refuse(_ lease: LeaseTable.Lease, reason: String) async throws {
    let now = clock.now
    do {
      let job = try await store.write { try EndTry(refusing: lease, reason, now: now).run(in: $0) }
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
    guard job.state.isTerminal else { return }
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
