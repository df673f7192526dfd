import Clocks
import Marketplace
import Wire

/// What a miner's message asks to be made durable. The lease was live when the message came; the operation checks it
/// again in its transaction.
enum MinerWork: Sendable {
  case start(LeaseTable.Lease)
  case progress(LeaseTable.Lease, percent: Int, message: String?)
  case refuse(LeaseTable.Lease, token: String, reason: String)
  case end(LeaseTable.Lease, TryReport)
  /// Its lease is over or another's: it is kept as evidence.
  case refuseStart(token: String)
  case refuseReport(TryReport)
}

extension DispatchState {
  /// Takes a message of a miner that has its welcome: what to answer at once, and what is to be done. Which message is
  /// legal when stands in docs/protocol.md.
  mutating func receive(
    _ message: MinerMessage, from miner: MinerID, at now: MonotonicTime, wall: Timestamp
  ) -> (replies: [MinerCommand], work: MinerWork?) {
    switch message {
    case .hello:
      return ([.error(code: "hello_repeated", message: "hello is said once", lease: nil)], nil)
    case .renew(let tokens):
      let answer = renew(tokens, of: miner, at: now, wall: wall)
      return ([.leases(renewed: answer.renewed, lost: answer.lost)], nil)
    case .drain:
      drain(miner)
      return ([], nil)
    case .accept(let token): return own(token, of: miner) { _ in nil }
    case .progress(let token, let percent, let text):
      return own(token, of: miner) { .progress($0, percent: percent, message: text) }
    case .started(let token):
      guard let lease = live(token, of: miner) else {
        return ([.leases(renewed: [:], lost: [token])], .refuseStart(token: token))
      }
      return ([], .start(lease))
    case .refuse(let token, let reason): return own(token, of: miner) { .refuse($0, token: token, reason: reason) }
    case .done(let report), .failed(let report):
      guard let lease = live(report.lease, of: miner) else {
        return ([.settled(lease: report.lease, accepted: false)], .refuseReport(report))
      }
      return ([], .end(lease, report))
    }
  }

  /// The live lease behind a token, when it is this miner's.
  func live(_ token: String, of miner: MinerID) -> LeaseTable.Lease? {
    guard let lease = lease(token: token), lease.miner == miner else { return nil }
    return lease
  }

  /// A token that is not this miner's is answered as lost.
  private func own(
    _ token: String, of miner: MinerID, _ work: (LeaseTable.Lease) -> MinerWork?
  ) -> (replies: [MinerCommand], work: MinerWork?) {
    guard let lease = live(token, of: miner) else { return ([.leases(renewed: [:], lost: [token])], nil) }
    return ([], work(lease))
  }
}

extension MinerHello {
  /// The leases that may go on. A miner that forgot everything has none.
  var named: [String] { isFresh ? [] : held.map(\.lease) }
}
