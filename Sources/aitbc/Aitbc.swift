import ArgumentParser

/// The root of the command line.
struct Aitbc: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "aitbc",
    abstract: "A self-hosted compute marketplace: coordinator, miner and client in one executable.",
    discussion: ExitStatus.help,
    version: Version.text,
    subcommands: [ClientCommand.self, AdminCommand.self] + Daemons.commands)
}
