import Cryptography
import JSON
import Marketplace
import Store
import Wire

@testable import Coordinator

/// What clients ask for over REST. A request may come any number of times.
extension SimCoordinator {
  enum Answer {
    case accepted(JobID, isReplay: Bool)
    case canceled
    case refused(String)
    /// 503 or 507: try again.
    case later
  }

  func submit(_ specification: JobSpecification, key: String?, answer: @escaping (Answer) -> Void) {
    let now = host.clock.now
    let submission = Submission(
      account: account.id, specification: specification, newID: world.newID(), now: now)
    let request = SHA256.hash(specification.canonical).hex
    let batch = SubmissionBatch(
      account: account.id, items: [SubmissionBatch.Item(submission: submission, context: JobContext())],
      idempotency: key.map { Idempotency(key: $0, requestHash: request) }, now: now,
      answer: { outcomes in (201, outcomes.first?.document["job_id"] ?? .null) })
    let (opening, lease) = (beginPlacing(specification), world.newToken("lt_"))
    write("submission") { market in
      let answered = try batch.run(in: market)
      let outcome = try opening.map { try self.claim(for: $0, specification, lease: lease, at: now, in: market) }
      return (answered, outcome)
    } then: { [self] result in
      if let opening { deliver(try? result.get().1, to: opening) }
      wake()
      switch result {
      case .success((let made, _)):
        guard let id = JobID(made.body.filter { $0 != "\"" }) else { return world.violate("an answer without an id") }
        answer(.accepted(id, isReplay: made.isReplay))
      case .failure(let error as MarketError): answer(.refused("\(error)"))
      case .failure: answer(.later)
      }
    }
  }

  func cancel(_ job: JobID, grace: Seconds, answer: @escaping (Answer) -> Void) {
    let operation = Cancellation(job: job, account: account.id, reason: nil, grace: grace, now: host.clock.now)
    write("cancel of \(job)") {
      try operation.run(in: $0)
    } then: { [self] result in
      switch result {
      case .success(let outcome):
        if let hash = outcome.leaseHash, !outcome.wasCanceling,
          let lease = dispatch.cancel(hash, grace: grace, at: monotonic), let token = lease.token
        {
          links[lease.miner]?.send(.cancel(lease: token, grace: grace))
        }
        answer(.canceled)
      case .failure(let error as MarketError): answer(.refused("\(error)"))
      case .failure: answer(.later)
      }
    }
  }
}
