import ArgumentParser
import JSON
import MarketplaceClient

struct StatsCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "stats",
    abstract: "Tell how many jobs there were, how many succeeded, how long they took, what they cost.")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions

  var callTimeout: TimeSpan? { timeout.timeout }

  func run(_ session: ClientSession) async throws {
    let stats = try await session.client.statistics()
    try session.write(stats, session.format(format.output), id: nil) { Self.lines(stats) }
  }

  private static func lines(_ stats: JSONValue) -> [String] {
    var pairs = [
      ("submitted", stats["submitted"]?.numberText ?? "-"),
      ("success rate", stats["success_rate"]?.numberText.flatMap(percent) ?? "-"),
      ("average completion", stats["average_completion_seconds"]?.numberText.map { $0 + " s" } ?? "-"),
      ("total spent", stats["total_spent"]?.string ?? "-"),
    ]
    for member in stats["by_status"]?.object?.members ?? [] where member.value.integer ?? 0 > 0 {
      pairs.append((member.name, member.value.numberText ?? "-"))
    }
    let width = pairs.map(\.0.count).max() ?? 0
    return pairs.map { label, text in
      Printable.line(label) + String(repeating: " ", count: width - label.count + 2) + Printable.line(text)
    }
  }

  /// A fraction as a percentage: `0.9231` is `92.31 %`.
  private static func percent(_ fraction: String) -> String? {
    guard let value = Double(fraction) else { return nil }
    let hundredths = Int((value * 10_000).rounded())
    let rest = hundredths % 100
    return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest) %"
  }
}
