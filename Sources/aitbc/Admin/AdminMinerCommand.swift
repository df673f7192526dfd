import ArgumentParser
import JSON
import MarketplaceClient

struct AdminMinerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "miner", abstract: "The fleet: listed, drained, removed.",
    subcommands: [List.self, Drain.self, Undrain.self, Remove.self])

  struct List: AdminVerb {
    static let configuration = CommandConfiguration(abstract: "List every miner that ever registered.")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var timeout: TimeoutOptions

    func run(_ session: ClientSession) async throws {
      try write(
        try await session.client.fleet(), list: "miners", id: "miner_id",
        columns: [
          ("MINER", "miner_id"), ("STATUS", "status"), ("SLOTS", "slots"), ("HELD", "held"), ("EARNED", "earned"),
          ("LAST SEEN", "last_heartbeat_at"), ("NAME", "name"),
        ], session)
    }
  }

  struct Drain: AdminVerb {
    static let configuration = CommandConfiguration(
      abstract: "Give a miner nothing new; it finishes what it has.",
      discussion: "Holds over restarts of miner and coordinator, until undrain.")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var timeout: TimeoutOptions
    @Argument(help: "The miner's id.") var miner: String

    func run(_ session: ClientSession) async throws {
      try write(try await session.client.setDraining(true, miner: miner), id: "miner_id", session)
    }
  }

  struct Undrain: AdminVerb {
    static let configuration = CommandConfiguration(abstract: "Give a drained miner work again.")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var timeout: TimeoutOptions
    @Argument(help: "The miner's id.") var miner: String

    func run(_ session: ClientSession) async throws {
      try write(try await session.client.setDraining(false, miner: miner), id: "miner_id", session)
    }
  }

  struct Remove: AdminVerb {
    static let configuration = CommandConfiguration(
      abstract: "Forget a miner. Refused while it holds jobs.",
      discussion: "A miner that is started again registers anew, under another id: revoke its key to keep it out.")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var timeout: TimeoutOptions
    @Argument(help: "The miner's id.") var miner: String
    @Flag(name: .shortAndLong, help: "Take its jobs away first; they run elsewhere, and the try counts as lost.")
    var force = false

    func run(_ session: ClientSession) async throws {
      try write(try await session.client.removeMiner(miner, force: force), id: "miner_id", session)
    }
  }
}

struct AdminStatsCommand: AdminVerb {
  static let configuration = CommandConfiguration(
    commandName: "stats", abstract: "Jobs by state, miners by status, fees earned.")
  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions

  func run(_ session: ClientSession) async throws {
    try write(try await session.client.marketStatistics(), id: "fees", session)
  }
}

struct AdminLedgerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ledger", abstract: "The double-entry ledger.", subcommands: [Check.self])

  struct Check: AdminVerb {
    static let configuration = CommandConfiguration(
      abstract: "Add the ledger up: does it sum to zero, job by job and in all?",
      discussion: "Exits with 9 when it does not.")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var timeout: TimeoutOptions

    func run(_ session: ClientSession) async throws {
      let report = try await session.client.checkLedger()
      try write(report, id: "sum", session)
      guard report["balanced"]?.bool == true else {
        throw CommandFailure(.integrity, "the ledger does not sum to zero")
      }
    }
  }
}
