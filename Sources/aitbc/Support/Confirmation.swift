/// Questions before something is lost.
enum Confirmation {
  /// Asks on a terminal; where nobody can answer, the command itself is the answer. Throws when it is not yes.
  static func ask(_ question: String, _ session: ClientSession) throws {
    guard session.context.isInputTerminal else { return }
    try session.context.errors.text(Printable.line(question) + " [y/N] ")
    let answer = session.context.readLine()?.lowercased() ?? ""
    guard answer == "y" || answer == "yes" else { throw CommandFailure(.failure, "nothing was removed") }
  }
}
