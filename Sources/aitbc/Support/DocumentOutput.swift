import JSON

/// Answers that are one document, the same way for every verb.
extension ClientSession {
  /// Writes a document in the form asked for.
  /// - Parameters:
  ///   - id: what `--output id` prints; nil: the answer has none, which is wrong usage.
  ///   - table: the lines for people.
  func write(_ document: JSONValue, _ format: OutputFormat, id: String?, table: () throws -> [String]) throws {
    switch format {
    case .json: try output.line(document.pretty)
    case .jsonl: try output.line(document.text)
    case .yaml: try output.text(YAMLWriter.text(document))
    case .id:
      guard let id else { throw CommandFailure(.usage, "this answer has no id", hint: "take another --output") }
      try output.line(Printable.line(id))
    case .table: for line in try table() { try output.line(line) }
    }
  }
}
