import ArgumentParser

/// A word that stands where a command's name must and is none: `aitbc client statu`.
struct UnknownCommand {
  let word: String
  /// The words before it, as `aitbc client`.
  let path: String
  /// What was probably meant, likeliest first; at most three.
  let likely: [String]

  /// Nil when the line names its command, or stops before it could.
  init?(_ arguments: [String]) {
    var command: any ParsableCommand.Type = Aitbc.self
    var path = [Self.name(command)]
    for word in ArgumentOrder.normalized(arguments) {
      let known = command.configuration.subcommands
      guard !known.isEmpty, !word.hasPrefix("-"), word != "help" else { return nil }
      guard let next = known.first(where: { Self.name($0) == word }) else {
        self.word = word
        self.path = path.joined(separator: " ")
        likely = Self.likely(word, among: known.map(Self.name))
        return
      }
      command = next
      path.append(word)
    }
    return nil
  }

  var message: String { "\(path) has no command \(Printable.shellWord(word))" }

  var hint: String {
    likely.isEmpty
      ? "\(path) --help lists the commands" : "did you mean \(likely.joined(separator: " or "))? See \(path) --help"
  }

  private static func name(_ command: any ParsableCommand.Type) -> String {
    command.configuration.commandName ?? command._commandName
  }

  /// Names that begin so, and those that are one or two slips of the finger away (one, where the word is short).
  private static func likely(_ word: String, among names: [String]) -> [String] {
    let allowed = word.count < 5 ? 1 : 2
    let near = names.compactMap { name -> (distance: Int, name: String)? in
      if word.count > 2, name.hasPrefix(word) { return (0, name) }
      let distance = distance(Array(word.prefix(64)), Array(name))
      return distance <= allowed ? (distance, name) : nil
    }
    return near.sorted { $0 < $1 }.prefix(3).map(\.name)
  }

  /// Letters to add, drop, exchange or swap with their neighbour (optimal string alignment).
  static func distance(_ left: [Character], _ right: [Character]) -> Int {
    var (older, old, row) = ([Int](), Array(0...right.count), [Int]())
    for (i, letter) in left.enumerated() {
      row = [i + 1]
      for (j, other) in right.enumerated() {
        var least = min(old[j + 1] + 1, row[j] + 1, old[j] + (letter == other ? 0 : 1))
        if i > 0, j > 0, letter == right[j - 1], left[i - 1] == other { least = min(least, older[j - 1] + 1) }
        row.append(least)
      }
      (older, old) = (old, row)
    }
    return old[right.count]
  }
}
