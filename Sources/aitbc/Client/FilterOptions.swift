import ArgumentParser
import Marketplace
import MarketplaceClient

/// Which jobs, and in which order; the same for every verb that takes many.
struct FilterOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Only these states: pending, running, failed, active, finished, … May be repeated.", valueName: "state"))
  var status: [StatusWord] = []

  @Option(help: ArgumentHelp("Only jobs created in the last so many days, 1 to 36600.", valueName: "count"))
  var days: Int?

  @Option(help: ArgumentHelp("Only jobs created from this day or time on.", valueName: "date"))
  var from: String?

  @Option(help: ArgumentHelp("Only jobs created until the end of this day, or until this time.", valueName: "date"))
  var to: String?

  @Option(help: ArgumentHelp("Only jobs with this label. May be repeated.", valueName: "name=value"))
  var label: [NameValue] = []

  @Option(help: ArgumentHelp("Only jobs in which this text stands.", valueName: "text"))
  var search: String?

  @Option(help: "created_at or completed_at; with - before it, latest first.")
  var sort: String?

  func validate() throws {
    if let days, !(1...36_600).contains(days) { throw ValidationError("--days must be between 1 and 36600.") }
    let first = try Self.moment(from, "--from")
    let last = try Self.moment(to, "--to")
    if let first, let last, first > last { throw ValidationError("--from is later than --to.") }
  }

  /// A day, which is its first moment, or a time.
  static func moment(_ text: String?, _ option: String) throws -> Timestamp? {
    guard let text else { return nil }
    guard let time = Timestamp(date: text) ?? Timestamp(rfc3339: text) else {
      throw ValidationError("\(option) must be a date like 2026-01-31 or a time like 2026-01-31T12:00:00Z.")
    }
    return time
  }

  var filter: JobFilter {
    var filter = JobFilter()
    filter.statuses = status.map(\.word)
    filter.labels = label.map { "\($0.name)=\($0.value)" }
    filter.search = search
    filter.days = days
    filter.from = from
    filter.to = to
    filter.sort = sort
    return filter
  }
}
