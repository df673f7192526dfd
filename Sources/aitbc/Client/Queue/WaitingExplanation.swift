import JSON
import Marketplace
import MarketplaceClient

/// Why a job waits, in sentences, for `status --explain`.
enum WaitingExplanation {
  static func lines(_ job: JobSnapshot, now: Timestamp) -> [String] {
    guard job.status == .pending else { return ["", "It does not wait: it is \(job.statusWord)."] }
    var lines = [""]
    let reason = job.json["pending_reason"]
    if let code = reason?["code"]?.string {
      lines.append("\(code): \(reason?["message"]?.string ?? "")")
    } else {
      lines.append("A miner that fits is free: it is about to be assigned.")
    }
    if let count = reason?["fitting_miners"]?.integer { lines.append("Connected miners that fit: \(count)") }
    for member in reason?["lacking"]?.object?.members ?? [] {
      lines.append("  \(member.value.integer ?? 0) lack \(member.name)" + wanted(member.name, of: job))
    }
    if let nearest = reason?["nearest"], let miner = nearest["miner_id"]?.string {
      let missing = (nearest["missing"]?.array ?? []).compactMap(\.string).joined(separator: ", ")
      lines.append("Nearest: \(miner) lacks only \(missing)")
    }
    if let position = job.queuePosition {
      let more = job.isQueuePositionMinimum ? " or more" : ""
      lines.append("Before it stand \(position - 1)\(more) jobs that ask for the same things.")
    }
    if let start = job.estimatedStart {
      lines.append("It may start in about \(Printable.duration(start.millisecondsSince(now) / 1000)).")
    }
    if let end = job.json["expires_at"]?.string { lines.append("If no miner takes it, it expires at \(end).") }
    return lines.map(Printable.line)
  }

  private static func wanted(_ requirement: String, of job: JobSnapshot) -> String {
    let value = requirement == "runner" ? job.json["type"] : job.json["constraints"]?[requirement]
    guard let value, !value.isNull else { return "" }
    return " (wanted: \(value.string ?? value.text))"
  }
}
