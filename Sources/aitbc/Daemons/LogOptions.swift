import ArgumentParser
import Logging

/// How a daemon logs, to standard error.
struct LogOptions: ParsableArguments {
  @Option(help: "trace, debug, info, notice, warning, error or critical.")
  var logLevel: LogLevelName = .info

  @Option(help: "text, or json: one object a line.")
  var logFormat: DaemonLogHandler.Format = .text

  func logger(_ label: String, in context: CommandContext) -> Logger {
    let (format, output, clock) = (logFormat, context.errors, context.clock)
    let level = Logger.Level(rawValue: logLevel.rawValue) ?? .info
    let factory: @Sendable (String) -> any LogHandler = { label in
      var handler = DaemonLogHandler(label: label, format: format, output: output, clock: clock)
      handler.logLevel = level
      return handler
    }
    // Libraries that make loggers of their own get the same.
    LoggingSystem.bootstrap(factory)
    return Logger(label: label, factory: factory)
  }
}

enum LogLevelName: String, ExpressibleByArgument, CaseIterable, Sendable {
  case trace, debug, info, notice, warning, error, critical
}
