import ArgumentParser
import Clocks
import JSON
import Logging
import Marketplace

/// One line for each event: `2026-02-13T10:00:00.000Z info  message key=value`, or a JSON object.
struct DaemonLogHandler: LogHandler {
  enum Format: String, ExpressibleByArgument, CaseIterable, Sendable { case text, json }

  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.info
  private let label: String
  private let format: Format
  private let output: any ByteOutput
  private let clock: any MarketClock

  init(label: String, format: Format, output: any ByteOutput, clock: any MarketClock) {
    self.label = label
    self.format = format
    self.output = output
    self.clock = clock
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let facts = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
    let text =
      switch format {
      case .text: Self.text(event.level, "\(event.message)", facts, clock.now.description)
      case .json: json(event.level, "\(event.message)", facts)
      }
    // Where a log can't be written there is nobody to tell.
    try? output.line(text)
  }

  static func text(
    _ level: Logger.Level, _ message: String, _ facts: [(key: String, value: Logger.MetadataValue)], _ time: String
  ) -> String {
    let word = level.rawValue
    var line = "\(time) \(word)" + String(repeating: " ", count: max(1, 9 - word.count)) + Printable.line(message)
    for fact in facts {
      let value = Printable.line("\(fact.value)")
      line += " \(fact.key)=" + (value.isEmpty || value.contains(" ") ? JSONValue.string(value).text : value)
    }
    return line
  }

  private func json(_ level: Logger.Level, _ message: String, _ facts: [(key: String, value: Logger.MetadataValue)])
    -> String
  {
    var object = JSONObject([
      ("at", .string(clock.now.description)), ("level", .string(level.rawValue)), ("logger", .string(label)),
      ("message", .string(message)),
    ])
    for fact in facts where object[fact.key] == nil { object.append(fact.key, .string("\(fact.value)")) }
    return JSONValue.object(object).text
  }
}
