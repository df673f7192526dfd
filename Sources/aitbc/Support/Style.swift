/// Colours, when they are wanted: `--color`, then `NO_COLOR` (no-color.org), `CLICOLOR_FORCE`, `CLICOLOR=0`,
/// `TERM=dumb`, then whether it is a terminal.
struct Style: Hashable, Sendable {
  let isColored: Bool

  init(choice: ColorChoice, isTerminal: Bool, _ environment: [String: String]) {
    switch choice {
    case .always: isColored = true
    case .never: isColored = false
    case .auto:
      if environment["NO_COLOR"].nonEmpty != nil {
        isColored = false
      } else if let force = environment["CLICOLOR_FORCE"].nonEmpty, force != "0" {
        isColored = true
      } else if environment["CLICOLOR"] == "0" || environment["TERM"] == "dumb" {
        isColored = false
      } else {
        isColored = isTerminal
      }
    }
  }

  enum Color: Int { case red = 31, green, yellow, blue, magenta, cyan, gray = 90 }

  func paint(_ text: String, _ color: Color?) -> String {
    guard isColored, let color else { return text }
    return "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m"
  }

  /// The colour of a state's word.
  static func color(of status: String) -> Color? {
    switch status {
    case "completed": .green
    case "failed", "lost": .red
    case "expired", "canceled", "canceling": .yellow
    case "running": .cyan
    case "assigned": .blue
    default: nil
    }
  }
}
