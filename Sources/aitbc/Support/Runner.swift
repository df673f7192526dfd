import ArgumentParser
import MarketplaceClient

/// Parses a command line, runs it, and turns every error into a line and an exit code.
enum Runner {
  static func run(_ arguments: [String], in context: CommandContext) async -> Int32 {
    await CommandContext.$current.withValue(context) {
      do {
        var command = try Aitbc.parseAsRoot(ArgumentOrder.normalized(arguments))
        if var command = command as? any AsyncParsableCommand {
          try await command.run()
        } else {
          try command.run()
        }
        return ExitStatus.success.rawValue
      } catch {
        return report(error, arguments, in: context)
      }
    }
  }

  private static func report(_ error: any Error, _ arguments: [String], in context: CommandContext) -> Int32 {
    switch error {
    case let exit as CommandExit: return exit.code
    case is BrokenPipe: return ExitStatus.success.rawValue
    case is CancellationError: return ExitStatus.interrupted.rawValue
    case let error as ClientError: return report(CommandFailure(error), arguments, in: context)
    case let failure as CommandFailure:
      try? context.errors.line("error: " + Printable.line(failure.message))
      if let hint = failure.hint { try? context.errors.line("hint: " + hint) }
      return failure.status.rawValue
    default: return reportParser(error, arguments, in: context)
    }
  }

  /// The parser's own ends: help and version are answers, the rest is usage.
  private static func reportParser(_ error: any Error, _ arguments: [String], in context: CommandContext) -> Int32 {
    let text = Aitbc.fullMessage(for: error)
    if Aitbc.exitCode(for: error) == .success {
      try? context.output.line(text)
      return ExitStatus.success.rawValue
    }
    guard Aitbc.exitCode(for: error) == .validationFailure else {
      try? context.errors.line("error: " + Printable.line(String(describing: error)))
      return ExitStatus.failure.rawValue
    }
    if let unknown = UnknownCommand(arguments) {
      try? context.errors.line("error: " + unknown.message)
      try? context.errors.line("hint: " + unknown.hint)
      return ExitStatus.usage.rawValue
    }
    let words = text.hasPrefix("Error: ") ? "error: " + text.dropFirst(7) : text
    try? context.errors.line(words)
    if let hint = MissingTerminator.hint(arguments) { try? context.errors.line("hint: " + hint) }
    return ExitStatus.usage.rawValue
  }
}
