import Marketplace
import Store

/// Money, and what was refused.
extension MemorySession {
  func ledger(of job: JobID) throws -> [LedgerLine] {
    tables.ledger.values.filter { $0.job == job }
      .sorted { ($0.kind.rawValue, $0.party) < ($1.kind.rawValue, $1.party) }
  }

  func post(_ lines: [LedgerLine]) throws {
    do { try LedgerLine.checkBalanced(lines) } catch { throw failed("\(error)") }
    let kept = sabotage.contains(.postingsAreHalved) ? lines.dropLast() : lines[...]
    var posted = 0
    for line in kept {
      let key = LedgerKey(job: line.job, kind: line.kind, party: line.party)
      guard tables.ledger[key] == nil else { continue }
      tables.ledger[key] = line
      posted += 1
    }
    guard posted == 0 || posted == kept.count else { throw failed("a ledger posting that is there in part") }
  }

  func balance(of party: String) throws -> Balance {
    tables.ledger.values.filter { $0.party == party }
      .reduce(into: Balance(party: party, amount: .zero, lines: 0)) { balance, line in
        balance.amount = Money(micros: balance.amount.micros + line.amount.micros)
        balance.lines += 1
      }
  }

  /// Balances are added up when they are asked for, so none can be wrong.
  func checkLedger() throws -> LedgerReport {
    let lines = Array(tables.ledger.values)
    let amounts = lines.map(\.amount.micros)
    let postings = Dictionary(grouping: lines) { LedgerKey(job: $0.job, kind: $0.kind, party: "") }
    let faults = postings.map { place, lines in
      LedgerReport.Fault(
        job: place.job.rawValue, kind: place.kind.rawValue,
        sum: Money(micros: lines.reduce(0) { $0 + $1.amount.micros }))
    }
    return LedgerReport(
      lines: lines.count, sum: Money(micros: amounts.reduce(0, +)),
      charged: Money(micros: amounts.reduce(0) { $0 + max(0, $1) }),
      faults: Array(
        faults.filter { $0.sum != .zero }.sorted { $0.job < $1.job }.prefix(LedgerReport.faultLimit)),
      wrongBalances: [])
  }

  // MARK: Evidence

  func refusedReports(of job: JobID) throws -> [RefusedReport] {
    (tables.refused[job] ?? []).sorted { $0.firstAt < $1.firstAt }
  }

  func note(_ report: RefusedReport) throws {
    var known = tables.refused[report.job] ?? []
    let index = known.firstIndex {
      ($0.tryNumber, $0.miner, $0.kind, $0.sha256) == (report.tryNumber, report.miner, report.kind, report.sha256)
    }
    if let index {
      known[index].lastAt = report.lastAt
      known[index].count += 1
    } else if known.count < RefusedReport.limit {
      known.append(report)
    }
    tables.refused[report.job] = known
  }
}
