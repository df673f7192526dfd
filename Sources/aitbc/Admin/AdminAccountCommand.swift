import ArgumentParser
import JSON
import MarketplaceClient

/// The plans there are.
enum PlanName: String, ExpressibleByArgument, CaseIterable, Sendable { case free, pro, enterprise }

struct AdminAccountCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "account", abstract: "Who pays and owns jobs.",
    subcommands: [Create.self, List.self, Show.self, SetPlan.self])

  struct Create: AdminVerb {
    static let configuration = CommandConfiguration(
      abstract: "Make an account.", discussion: "Example: aitbc admin account create laboratory --plan pro")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var timeout: TimeoutOptions
    @Argument(help: "Its name: letters, digits and . _ - @ +.") var name: String
    @Option(help: "Its plan.") var plan: PlanName?

    func run(_ session: ClientSession) async throws {
      let account = try await session.client.createAccount(name: name, plan: plan?.rawValue)
      try write(account, id: "account_id", session)
      try session.remark("make it a key with: aitbc admin key create \(name) --role client")
    }
  }

  struct List: AdminVerb {
    static let configuration = CommandConfiguration(abstract: "List accounts, oldest first.")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var timeout: TimeoutOptions
    @Option(help: "How many, 1 to 500. Default 100.") var limit: Int?
    @Option(help: "Go on where an earlier list ended (next_cursor).") var cursor: String?

    func validate() throws {
      if let limit, !(1...500).contains(limit) { throw ValidationError("--limit must be between 1 and 500.") }
    }

    func run(_ session: ClientSession) async throws {
      let page = try await session.client.accounts(limit: limit, cursor: cursor)
      try write(
        page, list: "accounts", id: "account_id",
        columns: [("ACCOUNT", "account_id"), ("NAME", "name"), ("PLAN", "plan"), ("CREATED", "created_at")], session)
      if let next = page["next_cursor"]?.string { try session.remark("there are more: --cursor \(next)") }
    }
  }

  struct Show: AdminVerb {
    static let configuration = CommandConfiguration(abstract: "Show an account with quota and spend.")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var timeout: TimeoutOptions
    @Argument(help: "Its id or name.") var account: String

    func run(_ session: ClientSession) async throws {
      try write(try await session.client.account(account), id: "account_id", session)
    }
  }

  struct SetPlan: AdminVerb {
    static let configuration = CommandConfiguration(
      abstract: "Put an account on another plan.",
      discussion: "An upgrade keeps results that are there longer; a downgrade counts for new results only.")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var timeout: TimeoutOptions
    @Argument(help: "Its id or name.") var account: String
    @Argument(help: "The plan.") var plan: PlanName

    func run(_ session: ClientSession) async throws {
      try write(try await session.client.setPlan(plan.rawValue, of: account), id: "account_id", session)
    }
  }
}
