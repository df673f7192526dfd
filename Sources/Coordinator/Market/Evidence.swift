import Clocks
import Cryptography
import JSON
import Logging
import Marketplace
import Store
import Wire

extension Market {
  /// Keeps a refused report of a miner as evidence. A token that belongs to no try tells nothing about any job; it is
  /// kept only when the miner named a `job` that exists.
  func noteRefused(
    _ kind: RefusedReport.Kind, token: String, of miner: MinerID, job named: JobID? = nil, said: [UInt8]
  ) async {
    let (hash, digest, now) = (LeaseToken.hash(token), SHA256.hash(said).hex, clock.now)
    do {
      try await store.write { market in
        let attempt = try market.tryRecord(leaseHash: hash).flatMap { named == nil || $0.job == named ? $0 : nil }
        guard let job = try attempt?.job ?? named.flatMap({ try market.job($0)?.id }) else { return }
        try market.note(
          RefusedReport(
            job: job, tryNumber: attempt?.number ?? 0, miner: miner, kind: kind, sha256: digest,
            reason: RefusedReport.reason(attempt, miner), at: now))
      }
      log.notice("a report was refused", metadata: ["miner": "\(miner)", "what": "\(kind.rawValue)"])
    } catch {
      log.error("can't keep a refused report", metadata: ["miner": "\(miner)", "error": "\(error)"])
    }
  }
}

extension RefusedReport {
  static func reason(_ attempt: TryRecord?, _ miner: MinerID) -> String {
    guard let attempt else { return "the token is none of this job's" }
    guard attempt.miner == miner else { return "the lease is another miner's" }
    return attempt.state == .held ? "the lease ran out" : "the try has ended: \(attempt.state.rawValue)"
  }

  var document: JSONValue {
    var object = JSONObject([
      ("try", .integer(Int64(tryNumber))), ("miner_id", .string(miner.rawValue)), ("what", .string(kind.rawValue)),
      ("sha256", .string(sha256)), ("reason", .string(reason)), ("count", .integer(Int64(count))),
    ])
    object.append(time: firstAt, as: "first_at")
    object.append(time: lastAt, as: "last_at")
    return .object(object)
  }
}
