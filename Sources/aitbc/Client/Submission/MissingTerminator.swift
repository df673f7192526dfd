import ArgumentParser

/// `aitbc client submit echo hi`: the program was given without the `--` before it.
enum MissingTerminator {
  /// What to type instead, for a line of `submit` that the parser refused; nil when a `--` would not mend it.
  ///
  /// The command begins at the first word with which the line is right: before it every option has its value.
  static func hint(_ arguments: [String]) -> String? {
    let words = ArgumentOrder.normalized(arguments)
    guard words.starts(with: ["client", "submit"]), !words.contains("--") else { return nil }
    let places = words.indices.dropFirst(2).filter { !words[$0].hasPrefix("-") }
    for place in places.prefix(attempts) {
      var mended = words
      mended.insert("--", at: place)
      guard (try? Aitbc.parseAsRoot(mended)) != nil else { continue }
      return "the command stands behind --: aitbc " + mended.map(Printable.shellWord).joined(separator: " ")
    }
    return nil
  }

  /// Values of options that may stand before the command.
  private static let attempts = 64
}
