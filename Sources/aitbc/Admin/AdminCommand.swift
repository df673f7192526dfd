import ArgumentParser

/// `aitbc admin`: what the market's operator does.
struct AdminCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "admin", abstract: "Run the market: for its operator.", subcommands: [AdminSigningKeyCommand.self])
}
