import ArgumentParser
import JSON
import Marketplace
import MarketplaceClient
import Wire

struct LogsCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "logs", abstract: "Show what a job wrote, byte for byte.",
    discussion: """
      Standard output goes to standard output, standard error to standard error; one of them with --stream. With --json \
      or --output jsonl every piece is one JSON object, as the live feed sends it; what is not UTF-8 stands in base64.
      """)

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var job: JobArgument

  @Option(help: "stdout or stderr; it then goes to standard output.")
  var stream: LogStreamName?

  @Flag(name: .shortAndLong, help: "Go on until the job ends.")
  var follow = false

  @Option(help: ArgumentHelp("Begin so many lines before the end, 0 to 1000000.", valueName: "lines"))
  var tail: Int?

  @Option(name: .customLong("try"), help: ArgumentHelp("Of this try. Default: the last.", valueName: "number"))
  var tryNumber: Int?

  func validate() throws {
    if let tail, !(0...1_000_000).contains(tail) { throw ValidationError("--tail must be between 0 and 1000000.") }
    if follow, form == .yaml || form == .id {
      throw ValidationError("--follow gives json or jsonl, or the log as it is.")
    }
    if let tryNumber, !(1...100_000).contains(tryNumber) { throw ValidationError("--try must be at least 1.") }
  }

  /// What the file says of `output` does not count: a log is what the job wrote unless the call asks for more.
  private var form: OutputFormat { globals.json ? .json : format.output ?? .table }
  private var isObjects: Bool { form != .table }

  private var streams: [LogStream] { stream.map { [$0.stream] } ?? [.stdout, .stderr] }

  func run(_ session: ClientSession) async throws {
    var pieces: [LogPiece] = []
    var offsets: [LogStream: Int64] = [:]
    var shown = tryNumber
    // The past first, both streams; what comes after it follows live.
    for stream in streams where !follow || tail != nil {
      let answer = try await session.client.logs(job.id, LogQuery(stream, tryNumber: shown, tailLines: tail))
      shown = answer.headers.integer("X-Log-Try").map { Int(clamping: $0) } ?? shown
      var offset = answer.headers.integer("X-Log-Offset") ?? 0
      var piece = LogPiece(job: job.id, stream: stream, tryNumber: shown ?? 0, offset: offset, data: [])
      for try await bytes in answer.body.pieces {
        offset += Int64(bytes.count)
        // As one: a character may be cut between two.
        if isObjects { piece.data += bytes } else { try write(bytes, stream, session) }
      }
      pieces.append(piece)
      offsets[stream] = offset
    }
    if isObjects { try write(pieces, session) }
    if follow { try await follow(from: offsets, of: shown ?? 0, session) }
  }

  /// One document for what is there; lines where more is to come.
  private func write(_ pieces: [LogPiece], _ session: ClientSession) throws {
    let objects = pieces.map { FeedMessage.log($0).json }
    guard follow || form == .jsonl else {
      let document: JSONValue = ["job_id": .string(job.id), "logs": .array(objects)]
      return try session.write(document, form, id: job.id) { [] }
    }
    for object in objects { try session.output.line(object.text) }
  }

  private func write(_ bytes: [UInt8], _ source: LogStream, _ session: ClientSession) throws {
    let goesToErrors = stream == nil && source == .stderr
    try (goesToErrors ? session.context.errors : session.output).write(bytes)
  }

  private func follow(from offsets: [LogStream: Int64], of start: Int, _ session: ClientSession) async throws {
    var options = FeedOptions()
    options.wantsLogs = true
    if !offsets.isEmpty, start > 0 { options.logStart = (start, offsets) }
    do {
      for try await event in session.client.watch(job.id, options: options) {
        switch event {
        case .log(let piece):
          guard streams.contains(piece.stream), tryNumber == nil || piece.tryNumber == tryNumber else { continue }
          guard !isObjects else {
            try session.output.line(FeedMessage.log(piece).json.text)
            continue
          }
          try write(piece.data, piece.stream, session)
        case .gap(let gap):
          try session.remark(
            "\(gap.stream.rawValue): bytes \(gap.range.lowerBound) to \(gap.range.upperBound) can't be had")
        case .connection(.reconnecting(_, let reason)): try session.detail("connection lost (\(reason)); trying again")
        case .connection, .status, .progress, .end: break
        }
      }
    } catch is CancellationError {
      try? session.context.errors.line("\ninterrupted; \(job.id) goes on")
      throw CommandExit(.interrupted)
    }
  }
}

enum LogStreamName: String, ExpressibleByArgument, CaseIterable, Sendable {
  case stdout, stderr

  var stream: LogStream { self == .stdout ? .stdout : .stderr }
}
