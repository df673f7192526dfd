import ArgumentParser
import JSON
import MarketplaceClient

/// What a key may do.
enum RoleName: String, ExpressibleByArgument, CaseIterable, Sendable { case client, miner, admin }

struct AdminKeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key", abstract: "API keys: made, listed and revoked.",
    subcommands: [Create.self, List.self, Revoke.self])

  struct Create: AdminVerb {
    static let configuration = CommandConfiguration(
      abstract: "Make a key. It is printed once and kept nowhere.",
      discussion: "Example: (umask 077; aitbc admin key create laboratory --role client > laboratory.key)")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var timeout: TimeoutOptions
    @Argument(help: "The account's id or name.") var account: String
    @Option(help: "What it may do.") var role: RoleName
    @Option(help: ArgumentHelp("What it is for, for lists.", valueName: "text")) var name: String?

    func run(_ session: ClientSession) async throws {
      let key = try await session.client.createKey(account: account, role: role.rawValue, name: name)
      guard try session.format(format.output) == .table else { return try write(key, id: "key_id", session) }
      // The key alone, so that a file takes it as it is.
      try session.output.line(key["api_key"]?.string ?? "")
      try session.remark("\(key["key_id"]?.string ?? ""): a \(role.rawValue) key of \(account), shown this once")
    }
  }

  struct List: AdminVerb {
    static let configuration = CommandConfiguration(abstract: "List keys by their ids, oldest first.")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var timeout: TimeoutOptions
    @Option(help: ArgumentHelp("Only this account's; its id or name.", valueName: "account")) var account: String?

    func run(_ session: ClientSession) async throws {
      try write(
        try await session.client.keys(account: account), list: "keys", id: "key_id",
        columns: [
          ("KEY", "key_id"), ("ROLE", "role"), ("ACCOUNT", "account_id"), ("CREATED", "created_at"),
          ("REVOKED", "revoked_at"), ("NAME", "name"),
        ], session)
    }
  }

  struct Revoke: AdminVerb {
    static let configuration = CommandConfiguration(
      abstract: "End a key at once. What it opened (feeds, miner channels) is closed.")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var timeout: TimeoutOptions
    @Argument(help: "The key's id, as the list shows it.") var key: String

    func run(_ session: ClientSession) async throws {
      try write(try await session.client.revokeKey(key), id: "key_id", session)
    }
  }
}
