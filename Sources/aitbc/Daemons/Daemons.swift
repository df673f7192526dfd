import ArgumentParser
import CSupervisor

/// The parts of the executable that are not the client.
enum Daemons {
  static let commands: [any ParsableCommand.Type] = [CoordinatorCommand.self, MinerCommand.self]

  /// The exit code when this process was started as a job's supervisor or launcher; nil otherwise.
  static func hiddenCommand() -> Int32? {
    let code = aitbc_hidden_command(CommandLine.argc, CommandLine.unsafeArgv)
    return code < 0 ? nil : code
  }

  /// Whether the command takes SIGINT and SIGTERM itself.
  static func handlesSignals(_ arguments: [String]) -> Bool {
    arguments.first == "coordinator" || arguments.first == "miner"
  }
}
