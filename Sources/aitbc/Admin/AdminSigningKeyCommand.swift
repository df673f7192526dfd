import ArgumentParser
import Clocks
import Coordinator

/// `aitbc admin signing-key`: works on the keys folder itself, beside a running coordinator or without one.
struct AdminSigningKeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "signing-key", abstract: "The key that signs results.", subcommands: [Rotate.self])

  struct Rotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a new key that signs from now on; the old one stays listed.",
      discussion: """
        Run it on the coordinator's machine, as its user. A running coordinator takes the new key at once. Old results \
        stay verifiable: /v1/keys lists the old key with the moment until which it signed.
        """)

    @Option(help: ArgumentHelp("The coordinator's folder of keys.", valueName: "folder")) var keysDir = "keys"

    func run() async throws {
      let context = CommandContext.current
      let keys = try SigningKeys.rotate(directory: context.resolve(keysDir), now: context.clock.now)
      try context.output.line(keys.new)
      try context.errors.line("new key \(keys.new) signs; \(keys.old) stays listed")
    }
  }
}
