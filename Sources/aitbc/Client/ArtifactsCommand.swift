import ArgumentParser
import Cryptography
import JSON
import MarketplaceClient

struct ArtifactsCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "artifacts", abstract: "List the files a job left, or fetch one of them.")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions
  @OptionGroup var job: JobArgument

  @Option(help: ArgumentHelp("Fetch this one.", valueName: "path"))
  var get: String?

  @Option(help: ArgumentHelp("Where to put it. Default: its own name, in the working directory.", valueName: "file"))
  var to: String?

  var callTimeout: TimeSpan? { timeout.timeout }

  func validate() throws {
    if to != nil, get == nil { throw ValidationError("--to needs --get.") }
  }

  func run(_ session: ClientSession) async throws {
    if let get { return try await fetch(get, session) }
    let document = try await session.client.artifacts(job.id)
    let files = document["artifacts"]?.array ?? []
    switch try session.format(format.output) {
    case .json: try session.output.line(document.pretty)
    case .yaml: try session.output.text(YAMLWriter.text(document))
    case .jsonl: for file in files { try session.output.line(file.text) }
    case .id: for file in files { try session.output.line(Printable.line(file["path"]?.string ?? "")) }
    case .table:
      var table = TextTable("SHA256", "SIZE", "PATH")
      for file in files {
        table.add(
          String((file["sha256"]?.string ?? "").prefix(16)), Printable.bytes(file["size"]?.integer ?? 0),
          file["path"]?.string ?? "")
      }
      for line in table.lines(width: nil) { try session.output.line(line) }
    }
  }

  private func fetch(_ path: String, _ session: ClientSession) async throws {
    let name = path.split(separator: "/").last.map(String.init) ?? ""
    guard to != nil || (!name.isEmpty && name != ".." && name != ".") else {
      throw CommandFailure(.usage, "--get names no file")
    }
    let target = session.context.resolve(to ?? name)
    try SmallFile.makeFolders(for: target)
    let digest = try await session.client.download(job.id, artifact: path).fetch(to: target)
    let document: JSONValue = [
      "file": .string(to ?? name), "size": .integer(Int64(clamping: digest.size)), "sha256": .string(digest.sha256.hex),
    ]
    try session.write(document, session.format(format.output), id: path) { [to ?? name] }
    try session.detail("\(Printable.bytes(digest.size)), SHA-256 \(digest.sha256.hex)")
  }
}
