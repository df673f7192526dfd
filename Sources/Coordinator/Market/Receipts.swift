import Cryptography
import JSON
import Marketplace
import Store
import Wire

extension MarketReader {
  /// The receipt of a job that was charged for: completed, or canceled after it ran. Nil for all others.
  func receipt(of job: Job) throws -> Receipt? {
    guard job.state == .completed || job.state == .canceled, let miner = job.miner, let started = job.startedAt,
      let completed = job.completedAt, let attempt = try tryRecord(of: job.id, number: job.lastTry)
    else { return nil }
    // Rows of the first version do not tell the price; they have no receipt.
    guard let price = attempt.price else { return nil }
    let fee = try ledger(of: job.id).first { $0.party == LedgerLine.market }?.amount ?? .zero
    let milliseconds = max(0, completed.millisecondsSince(started))
    return Receipt(
      job: job.id, tryNumber: attempt.number, provider: miner, client: job.account, status: job.state,
      units: milliseconds.multipliedClamped(by: Int64(max(1, job.specification.constraints.devices))),
      unitPrice: price, priority: job.specification.priority, price: job.cost, fee: fee, startedAt: started,
      completedAt: completed)
  }
}

extension Int64 {
  /// Saturates: both factors are positive.
  fileprivate func multipliedClamped(by factor: Int64) -> Int64 {
    let (product, isTooMuch) = multipliedReportingOverflow(by: factor)
    return isTooMuch ? .max : product
  }
}

extension Market {
  /// The signed receipt, or null.
  func signedReceipt(_ receipt: Receipt?) throws -> JSONValue { try receipt?.signed(by: signingKey) ?? .null }
}
