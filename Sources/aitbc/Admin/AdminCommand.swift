import ArgumentParser
import JSON
import MarketplaceClient

/// `aitbc admin`: what the market's operator does.
struct AdminCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "admin",
    abstract: "Accounts, plans, keys, miners and ledger of a market.",
    discussion: """
      The key comes from --api-key or --api-key-file, then AITBC_ADMIN_KEY or AITBC_ADMIN_KEY_FILE, then \
      keys/admin.key under the working directory. \(ExitStatus.help).
      """,
    subcommands: [
      AdminAccountCommand.self, AdminKeyCommand.self, AdminMinerCommand.self, AdminStatsCommand.self,
      AdminLedgerCommand.self, AdminSigningKeyCommand.self,
    ])
}

/// An admin verb: its options, and what it does in a session.
protocol AdminVerb: AsyncParsableCommand {
  var globals: GlobalOptions { get }
  var format: FormatOptions { get }
  var timeout: TimeoutOptions { get }
  func run(_ session: ClientSession) async throws
}

extension AdminVerb {
  func run() async throws {
    let session = try ClientSession(globals, timeout: timeout.timeout, role: .admin, in: CommandContext.current)
    do {
      try await run(session)
    } catch {
      await session.client.shutdown()
      throw error
    }
    await session.client.shutdown()
  }

  /// One thing in the format asked for; as a table, its members line by line.
  func write(_ json: JSONValue, id: String, _ session: ClientSession) throws {
    switch try session.format(format.output) {
    case .json: try session.output.line(json.pretty)
    case .jsonl: try session.output.line(json.text)
    case .yaml: try session.output.text(YAMLWriter.text(json))
    case .id: try session.output.line(json[id]?.string ?? "")
    case .table: for line in AdminOutput.lines(json) { try session.output.line(line) }
    }
  }

  /// A list in the format asked for; as a table, with these columns.
  func write(
    _ json: JSONValue, list: String, id: String, columns: [(title: String, member: String)], _ session: ClientSession
  ) throws {
    let items = json[list]?.array ?? []
    switch try session.format(format.output) {
    case .json: try session.output.line(json.pretty)
    case .yaml: try session.output.text(YAMLWriter.text(json))
    case .jsonl: for item in items { try session.output.line(item.text) }
    case .id: for item in items { try session.output.line(item[id]?.string ?? "") }
    case .table:
      let width = session.context.width()
      for line in AdminOutput.table(items, columns).lines(width: width) { try session.output.line(line) }
    }
  }
}

/// What the operator reads.
enum AdminOutput {
  /// `member  value`, nested members as `member.inner`; nulls and the twins in seconds are left out.
  static func lines(_ json: JSONValue) -> [String] {
    let pairs = flat(json, "")
    let width = pairs.map(\.0.count).max() ?? 0
    return pairs.map { name, text in
      name + String(repeating: " ", count: width - name.count + 2) + Printable.line(text)
    }
  }

  private static func flat(_ json: JSONValue, _ prefix: String) -> [(String, String)] {
    (json.object?.members ?? []).flatMap { member -> [(String, String)] in
      guard !member.value.isNull, !member.name.hasSuffix("_unix") else { return [] }
      if member.value.object != nil { return flat(member.value, prefix + member.name + ".") }
      return [(prefix + member.name, cell(member.value))]
    }
  }

  static func table(_ items: [JSONValue], _ columns: [(title: String, member: String)]) -> TextTable {
    var table = TextTable(columns.map(\.title))
    for item in items { table.add(columns.map { cell(item[$0.member]) }) }
    return table
  }

  private static func cell(_ value: JSONValue?) -> String {
    guard let value, !value.isNull else { return "-" }
    return value.string ?? value.text
  }
}
