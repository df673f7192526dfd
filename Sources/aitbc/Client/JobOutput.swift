import JSON
import Marketplace
import MarketplaceClient

/// Jobs as people and programs read them.
enum JobOutput {
  /// One job in the format asked for; `table` is what ``summary(_:_:now:)`` or ``everything(_:)`` makes.
  static func write(_ job: JobSnapshot, _ format: OutputFormat, to output: any ByteOutput, table: () -> [String]) throws
  {
    switch format {
    case .json: try output.line(job.json.pretty)
    case .jsonl: try output.line(job.json.text)
    case .yaml: try output.text(YAMLWriter.text(job.json))
    case .id: try output.line(job.id)
    case .table: for line in table() { try output.line(line) }
    }
  }

  /// Where a job stands, in a few lines.
  static func summary(_ job: JobSnapshot, _ style: Style, now: Timestamp) -> [String] {
    var pairs: [(String, String)] = [("job", job.id)]
    if let name = job.name { pairs.append(("name", name)) }
    pairs.append(("status", job.statusWord))
    if job.status == .running {
      pairs.append(("progress", "\(job.progress)%" + (job.progressMessage.map { " " + $0 } ?? "")))
    }
    if job.status == .pending {
      if let reason = job.pendingReason { pairs.append(("waits", reason)) }
      if let position = job.queuePosition {
        pairs.append(("position", "\(position)" + (job.isQueuePositionMinimum ? "+" : "")))
      }
      if let start = job.estimatedStart { pairs.append(("may start", start.description)) }
    }
    if let miner = job.minerID { pairs.append(("miner", miner)) }
    if job.tryNumber > 1 { pairs.append(("try", "\(job.tryNumber)")) }
    for (label, time) in [("created", job.createdAt), ("started", job.startedAt), ("completed", job.completedAt)] {
      if let time { pairs.append((label, time.description)) }
    }
    if let time = job.estimatedCompletion, !job.isTerminal { pairs.append(("expected", time.description)) }
    if let start = job.startedAt {
      let end = job.completedAt ?? (job.isTerminal ? nil : now)
      if let end { pairs.append(("ran", Printable.duration(end.millisecondsSince(start) / 1000))) }
    }
    if let code = job.exitCode { pairs.append(("exit code", "\(code)")) }
    if let error = job.errorText { pairs.append(("error", origin(of: job) + error)) }
    if let cost = job.cost, job.isTerminal || job.status == .running { pairs.append(("cost", cost)) }
    if job.isTerminal { pairs.append(("results", job.resultsAvailable ? "available" : "none")) }
    return aligned(pairs) { label, text in label == "status" ? style.paint(text, Style.color(of: text)) : text }
  }

  /// The error of a job that has not ended is what its last try before came to.
  private static func origin(of job: JobSnapshot) -> String {
    guard !job.isTerminal else { return "" }
    return "earlier try \(job.status == .pending ? job.tryNumber : job.tryNumber - 1): "
  }

  /// Every member of the document that is not null.
  static func everything(_ job: JobSnapshot) -> [String] {
    let members = (job.json.object?.members ?? []).filter { !$0.value.isNull }
    return aligned(
      members.map { ($0.name, $0.value.string ?? $0.value.text) }
    ) { _, text in text }
  }

  private static func aligned(_ pairs: [(String, String)], paint: (String, String) -> String) -> [String] {
    let width = pairs.map(\.0.count).max() ?? 0
    return pairs.map { label, text in
      label + String(repeating: " ", count: width - label.count + 2) + paint(label, Printable.line(text))
    }
  }

  /// The list's table.
  static func table(_ jobs: [JobSnapshot], _ style: Style, width: Int?, now: Timestamp) -> [String] {
    var table = TextTable("JOB", "STATUS", "DONE", "CREATED", "RAN", "COST", "NAME")
    for job in jobs {
      let end = job.completedAt ?? (job.isTerminal ? nil : now)
      let ran = job.startedAt.flatMap { start in end.map { Printable.duration($0.millisecondsSince(start) / 1000) } }
      table.add(
        job.id, job.statusWord, "\(job.progress)%", job.createdAt.map { String($0.description.prefix(19)) } ?? "-",
        ran ?? "-", job.cost ?? "-", job.name ?? title(of: job))
    }
    // A name is worth more than these; of narrow lines the id, which begins them, stays whole.
    return table.lines(width: width, dispensable: [3, 5, 4, 2]) { column, cell, padded in
      column == 1 ? style.paint(padded, Style.color(of: cell)) : padded
    }
  }

  /// What stands in place of a name: the command, or the runner.
  static func title(of job: JobSnapshot) -> String {
    job.command.isEmpty ? job.type ?? "-" : job.command.joined(separator: " ")
  }

  /// One line about a job that has ended.
  static func ending(_ job: JobSnapshot) -> String {
    var text = "\(job.id) \(job.statusWord)"
    if let start = job.startedAt, let end = job.completedAt {
      text += " after \(Printable.duration(end.millisecondsSince(start) / 1000))"
    }
    if let error = job.errorText, job.status != .completed { text += ": \(error)" }
    if let cost = job.cost, job.startedAt != nil { text += " (cost \(cost))" }
    return text
  }
}
