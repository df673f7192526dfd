import ArgumentParser
import JSON
import MarketplaceClient

struct ExportCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write all jobs to a file, as JSON or CSV.",
    discussion: "Example: aitbc client export --format csv --output jobs.csv")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var filters: FilterOptions

  @Option(help: "json or csv.")
  var format: ExportFormat = .json

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The file; it is there whole or not at all. Default, and -: standard output.", valueName: "file")
  )
  var output = "-"

  func run(_ session: ClientSession) async throws {
    let answer = try await session.client.export(format == .csv ? .csv : .json, filters.filter)
    guard output != "-" else {
      for try await piece in answer.body.pieces { try session.output.write(piece) }
      return
    }
    let path = session.context.resolve(output)
    try SmallFile.makeFolders(for: path)
    let file = try GrowingFile(path)
    do {
      for try await piece in answer.body.pieces { try file.append(piece) }
      try file.finish()
    } catch {
      file.abandon()
      throw error
    }
    try session.remark("\(output): \(Printable.bytes(file.length))")
    guard globals.json else { return }
    let document: JSONValue = ["file": .string(output), "size": .integer(Int64(clamping: file.length))]
    try session.output.line(document.pretty)
  }
}

enum ExportFormat: String, ExpressibleByArgument, CaseIterable, Sendable { case json, csv }
