/// Lets the global options of `client` and `admin` stand before the verb as well (`aitbc --url U client status X`,
/// `aitbc client --url U status X`), as older clients wrote them: they are moved behind it.
enum ArgumentOrder {
  private static let valued: Set<String> = [
    "--url", "--api-key", "--api-key-file", "--profile", "--config-file", "--color", "--output", "--timeout",
  ]
  private static let flags: Set<String> = ["--json", "--quiet", "-q", "--verbose", "-v", "-vv", "-vvv"]

  static func normalized(_ arguments: [String]) -> [String] {
    var rest = arguments[...]
    let before = takeOptions(&rest)
    guard let command = rest.first, command == "client" || command == "admin" else { return arguments }
    rest.removeFirst()
    let between = takeOptions(&rest)
    guard let verb = rest.first, !verb.hasPrefix("-") else { return arguments }
    rest.removeFirst()
    var words = [command, verb]
    // `config set` and its siblings are verbs of two words, as all of `admin` are.
    if verb == "config" || (command == "admin" && verb != "stats"), let second = rest.first, !second.hasPrefix("-") {
      words.append(second)
      rest.removeFirst()
    }
    return words + before + between + rest
  }

  private static func takeOptions(_ rest: inout ArraySlice<String>) -> [String] {
    var taken: [String] = []
    while let word = rest.first {
      let name = word.split(separator: "=", maxSplits: 1).first.map(String.init) ?? word
      if flags.contains(word) || (word.contains("=") && valued.contains(name)) {
        taken.append(rest.removeFirst())
      } else if valued.contains(word), rest.count >= 2 {
        taken.append(rest.removeFirst())
        taken.append(rest.removeFirst())
      } else {
        break
      }
    }
    return taken
  }
}
