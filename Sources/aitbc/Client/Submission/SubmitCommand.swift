import ArgumentParser
import JSON
import Marketplace
import MarketplaceClient

struct SubmitCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "submit", abstract: "Submit a job; prints its id.",
    discussion: """
      Examples:
        aitbc client submit --input train.py -- python3 train.py
        aitbc client submit --input data --input train.py --gpu A100 --wait -- python3 train.py data/points.csv
        aitbc client submit --model llama3 --prompt "Hello"
        aitbc client submit --file job.json --priority high
        aitbc client submit --batch jobs.jsonl
      When the coordinator has answered, the job is durable: it survives any crash.
      """)

  @OptionGroup var globals: GlobalOptions
  @OptionGroup(title: "What to do") var work: WorkOptions
  @OptionGroup(title: "What it needs") var constraints: ConstraintOptions
  @OptionGroup(title: "How it is treated") var treatment: TreatmentOptions

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The form of the answer: table, json, jsonl, id or yaml; or a folder for the result: with --wait the package is put there.",
      valueName: "form|folder"))
  var output: String?

  @Flag(help: "Watch the job until it ends; exits with 0 only when it completed.")
  var wait = false

  @Option(
    help: ArgumentHelp(
      "With --wait: no longer than this; exits with 8 when the job is still active.", valueName: "time"),
    transform: TimeSpan.read)
  var waitTimeout: TimeSpan?

  @Flag(help: "With --wait: show what the job writes.")
  var logs = false

  @Flag(help: "With --wait: exit with the job's own exit code.")
  var passthrough = false

  @Flag(help: "Tell who could run it and for how much; store nothing.")
  var dryRun = false

  @Option(
    help: ArgumentHelp("Submit all jobs of a file at once: a JSON array, or one JSON object a line.", valueName: "path")
  )
  var batch: String?

  @Option(help: ArgumentHelp("Repeat an earlier call under its key: the job is submitted once.", valueName: "key"))
  var idempotencyKey: String?

  @Argument(help: .hidden) var runner: String?
  @Argument(
    parsing: .postTerminator, help: ArgumentHelp("The program and its arguments, after --.", valueName: "command"))
  var command: [String] = []

  func validate() throws {
    if batch != nil, wait || dryRun || !command.isEmpty || work.file != nil || work.model != nil || work.type != nil {
      throw ValidationError("--batch can't stand beside --wait, --dry-run, --file, --model, --type or a command.")
    }
    if !wait, passthrough || logs || waitTimeout != nil {
      throw ValidationError("--passthrough, --logs and --wait-timeout need --wait.")
    }
    if wait, dryRun { throw ValidationError("--wait can't stand beside --dry-run.") }
    if treatment.strict, treatment.runKey == nil { throw ValidationError("--strict needs --run-key.") }
  }

  private var formatOption: OutputFormat? { output.flatMap(OutputFormat.init(rawValue:)) }
  private var outputFolder: String? { formatOption == nil ? output : nil }

  func run(_ session: ClientSession) async throws {
    let format = try session.format(formatOption)
    if let batch { return try await submitBatch(batch, format, session) }
    let body = try await body(session)
    if dryRun {
      let quote = try await session.client.dryRun(body)
      return try writeQuote(quote, format, session)
    }
    let job = try await session.client.submit(body, idempotencyKey: idempotencyKey)
    if job.isExisting { try session.remark("\(job.id) was submitted earlier with this run key") }
    guard wait else { return try write(job, format, session) }
    try await watch(job, format, session)
  }

  private func body(_ session: ClientSession) async throws -> JSONValue {
    var material = JobBody.Material()
    if let file = work.file { material.base = try SubmitFiles.object(session.context.resolve(file), "--file") }
    if let payload = work.payload { material.payload = try SubmitFiles.payload(payload, session.context) }
    material.outputFolder = outputFolder
    let asksModel =
      command.isEmpty && (work.model != nil || work.prompt != nil || work.type == "inference" || runner == "inference")
    var collector = InputCollector(session.context)
    if asksModel, work.input.count == 1 {
      material.modelInput = try SubmitFiles.modelInput(work.input[0], session.context)
    } else {
      for argument in work.input { try collector.add(argument) }
    }
    let builder = JobBody(command: command, runner: runner, work: work, constraints: constraints, treatment: treatment)
    // Contradictions are told before a byte is sent.
    _ = try builder.make(material)
    material.inputs = try await SubmitFiles.upload(collector.found, dryRun: dryRun, session)
    return try builder.make(material)
  }

  private func write(_ job: JobSnapshot, _ format: OutputFormat, _ session: ClientSession) throws {
    try JobOutput.write(job, format, to: session.output) { [job.id] }
    guard format == .table, session.context.isOutputTerminal else { return }
    if job.status == .pending, let reason = job.pendingReason { try session.remark("waits: \(reason)") }
    if let cost = job.estimatedCost { try session.remark("estimated cost \(cost)") }
    try session.remark("watch it with: aitbc client watch \(job.id)")
  }

  private func writeQuote(_ quote: JSONValue, _ format: OutputFormat, _ session: ClientSession) throws {
    switch format {
    case .json: try session.output.line(quote.pretty)
    case .jsonl, .id: try session.output.line(quote.text)
    case .yaml, .table: try session.output.text(YAMLWriter.text(quote))
    }
  }

  private func watch(_ job: JobSnapshot, _ format: OutputFormat, _ session: ClientSession) async throws {
    let end = try await Watcher(session: session, job: job.id, wantsLogs: logs, timeout: waitTimeout)
      .runAfterSubmission(format)
    if let outputFolder, end.resultsAvailable {
      let folder = session.context.resolve(outputFolder)
      try SmallFile.makeFolder(folder)
      _ = try await DownloadCommand.fetch(job.id, into: folder, session)
      try session.remark("the result is in \(outputFolder)/output.zip")
    }
    try JobEnding.check(end, passthrough: passthrough)
  }

  private func submitBatch(_ path: String, _ format: OutputFormat, _ session: ClientSession) async throws {
    let bodies = try SubmitFiles.batch(session.context.resolve(path))
    let jobs = try await session.client.submit(
      batch: bodies, idempotencyKey: idempotencyKey, onlyIDs: format == .id || format == .table)
    switch format {
    case .json: try session.output.line(JSONValue.array(jobs.map(\.json)).pretty)
    case .yaml: try session.output.text(YAMLWriter.text(.array(jobs.map(\.json))))
    case .jsonl: for job in jobs { try session.output.line(job.json.text) }
    case .id, .table: for job in jobs { try session.output.line(job.id) }
    }
  }
}
