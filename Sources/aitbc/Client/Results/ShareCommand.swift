import ArgumentParser
import JSON
import Marketplace
import MarketplaceClient

struct ShareCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "share", abstract: "Make a link by which anybody may fetch a finished job's result.",
    discussion: """
      The link is shown once; the coordinator keeps only its hash. It ends with the result at the latest. Take it back \
      with: aitbc client unshare
      """)

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions
  @OptionGroup var job: JobArgument

  @Option(
    help: ArgumentHelp(
      "How long it works, 1s to 3660d, but never longer than the result is kept. Default 7d.", valueName: "time"),
    transform: TimeSpan.read)
  var expires: TimeSpan?

  @Option(
    help: ArgumentHelp("How often it may be downloaded, 1 to 1000000000. Default: any number.", valueName: "count"))
  var maxDownloads: Int64?

  var callTimeout: TimeSpan? { timeout.timeout }

  func validate() throws {
    if let maxDownloads, !(1...1_000_000_000).contains(maxDownloads) {
      throw ValidationError("--max-downloads must be between 1 and 1000000000.")
    }
  }

  func run(_ session: ClientSession) async throws {
    let share = try await session.client.share(
      job.id, expires: expires.map { "\($0.seconds.whole)s" }, maximumDownloads: maxDownloads)
    switch try session.format(format.output) {
    case .json: try session.output.line(share.pretty)
    case .jsonl: try session.output.line(share.text)
    case .yaml: try session.output.text(YAMLWriter.text(share))
    case .id: try session.output.line(Printable.line(share["share_id"]?.string ?? ""))
    case .table:
      try session.output.line(Printable.line(share["url"]?.string ?? ""))
      let count = share["max_downloads"]?.integer.map { $0 == 1 ? ", for one download" : ", for \($0) downloads" }
      try session.remark("works until \(share["expires_at"]?.string ?? "?")" + (count ?? ""))
    }
  }
}

struct SharesCommand: ClientVerb {
  static let configuration = CommandConfiguration(commandName: "shares", abstract: "List a job's links.")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions
  @OptionGroup var job: JobArgument

  var callTimeout: TimeSpan? { timeout.timeout }

  func run(_ session: ClientSession) async throws {
    let document = try await session.client.shares(job.id)
    let shares = document["shares"]?.array ?? []
    switch try session.format(format.output) {
    case .json: try session.output.line(document.pretty)
    case .yaml: try session.output.text(YAMLWriter.text(document))
    case .jsonl: for share in shares { try session.output.line(share.text) }
    case .id: for share in shares { try session.output.line(Printable.line(share["share_id"]?.string ?? "")) }
    case .table:
      var table = TextTable("SHARE", "STATE", "EXPIRES", "DOWNLOADS")
      for share in shares {
        let count = share["downloads"]?.integer ?? 0
        let bound = share["max_downloads"]?.integer.map { " of \($0)" } ?? ""
        table.add(
          share["share_id"]?.string ?? "-", share["state"]?.string ?? "-",
          String((share["expires_at"]?.string ?? "-").prefix(19)), "\(count)\(bound)")
      }
      for line in table.lines(width: nil) { try session.output.line(line) }
    }
  }
}

struct UnshareCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "unshare", abstract: "Take links to a job's result back.",
    discussion: "Example: aitbc client unshare --job-id JOB --share-id SHARE")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions

  @Option(help: ArgumentHelp("The job; may also stand without the option.", valueName: "id"))
  var jobId: String?

  @Option(help: ArgumentHelp("The link; may also stand without the option. May be repeated.", valueName: "id"))
  var shareId: [String] = []

  @Flag(help: "All links of the job.")
  var all = false

  @Argument(help: ArgumentHelp("The job, and links of it.", valueName: "id"))
  var ids: [String] = []

  var callTimeout: TimeSpan? { timeout.timeout }

  private var jobs: Set<String> { Set(ids.filter { !$0.hasPrefix("share_") }).union(jobId.map { [$0] } ?? []) }
  private var shares: [String] { shareId + ids.filter { $0.hasPrefix("share_") } }

  func validate() throws {
    guard jobs.count == 1, jobs.first?.isEmpty == false else { throw ValidationError("Name one job: --job-id ID.") }
    guard all != !shares.isEmpty, shares.allSatisfy({ !$0.isEmpty }) else {
      throw ValidationError("Name links of the job (--share-id ID), or --all of them.")
    }
  }

  func run(_ session: ClientSession) async throws {
    guard let job = jobs.first else { return }
    var shares = shares
    if all {
      shares = (try await session.client.shares(job)["shares"]?.array ?? []).compactMap { $0["share_id"]?.string }
    }
    let format = try session.format(format.output)
    for share in shares {
      try await session.client.unshare(job, share: share)
      // Each as it is done: a later one may fail.
      if format == .table { try session.output.line(Printable.line(share) + " taken back") }
      if format == .id { try session.output.line(Printable.line(share)) }
    }
    guard format != .table, format != .id else { return }
    let document: JSONValue = ["job_id": .string(job), "taken_back": .array(shares.map(JSONValue.string))]
    try session.write(document, format, id: nil) { [] }
  }
}
