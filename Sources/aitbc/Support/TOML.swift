/// The part of TOML 1.0 that the configuration file uses: `key = value` under `[table]`, with strings (basic and
/// literal), integers, booleans and comments. Everything else is an error that names its line. Lines are kept, so that
/// a change leaves comments and order alone.
struct TOMLDocument: Hashable, Sendable {
  struct Entry: Hashable, Sendable {
    let table: String
    let key: String
    let value: String
    let line: Int
  }

  struct Failure: Error, Hashable { let line: Int, message: String }

  private(set) var lines: [String]
  private(set) var entries: [Entry]

  init() {
    lines = []
    entries = []
  }

  init(parsing text: String) throws(Failure) {
    // By scalars: as characters, a carriage return and a line feed are one.
    lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      String(String.UnicodeScalarView(line.last == "\r" ? line.dropLast() : line))
    }
    if lines.last == "" { lines.removeLast() }
    entries = []
    var table = ""
    var tables: Set<String> = []
    for (index, line) in lines.enumerated() {
      var scanner = TOMLScanner(line, number: index + 1)
      switch try scanner.line() {
      case .blank: break
      case .table(let name):
        guard tables.insert(name).inserted else { throw scanner.failure("table [\(name)] stands twice") }
        table = name
      case .pair(let key, let value):
        guard !entries.contains(where: { $0.table == table && $0.key == key }) else {
          throw scanner.failure("\(key) stands twice")
        }
        entries.append(Entry(table: table, key: key, value: value, line: index))
      }
    }
  }

  func value(_ key: String, in table: String) -> String? { entries.first { $0.table == table && $0.key == key }?.value }

  var text: String { lines.map { $0 + "\n" }.joined() }

  /// The document with this value as a basic string; its line is replaced, or added at the end of its table.
  func setting(_ key: String, in table: String, to value: String) throws(Failure) -> TOMLDocument {
    var lines = lines
    let line = "\(key) = \(Self.quote(value))"
    if let entry = entries.first(where: { $0.table == table && $0.key == key }) {
      lines[entry.line] = line
    } else if let last = entries.last(where: { $0.table == table }) {
      lines.insert(line, at: last.line + 1)
    } else if let header = lines.firstIndex(where: { Self.isHeader($0, of: table) }) {
      lines.insert(line, at: header + 1)
    } else if table.isEmpty {
      lines.insert(line, at: 0)
    } else {
      if !lines.isEmpty { lines.append("") }
      lines += ["[\(TOMLScanner.isBare(table) ? table : Self.quote(table))]", line]
    }
    return try TOMLDocument(parsing: lines.joined(separator: "\n"))
  }

  private static func isHeader(_ line: String, of table: String) -> Bool {
    var scanner = TOMLScanner(line, number: 0)
    if case .table(table)? = try? scanner.line() { return true }
    return false
  }

  /// A basic string (TOML 1.0, "String").
  static func quote(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "\r": result += "\\r"
      case _ where scalar.value < 32 || scalar.value == 127:
        let digits = String(scalar.value, radix: 16, uppercase: true)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

/// Reads one line.
struct TOMLScanner {
  enum Line: Hashable {
    case blank
    case table(String)
    case pair(String, String)
  }

  private let scalars: [Unicode.Scalar]
  private let number: Int
  private var index = 0

  init(_ line: String, number: Int) {
    scalars = Array(line.unicodeScalars)
    self.number = number
  }

  static func isBare(_ key: String) -> Bool { !key.isEmpty && key.unicodeScalars.allSatisfy(isBareScalar) }

  private static func isBareScalar(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", "_", "-": true
    default: false
    }
  }

  func failure(_ message: String) -> TOMLDocument.Failure { TOMLDocument.Failure(line: number, message: message) }

  mutating func line() throws(TOMLDocument.Failure) -> Line {
    skipSpace()
    guard let first = current, first != "#" else { return .blank }
    let result: Line
    if first == "[" {
      index += 1
      guard current != "[" else { throw failure("arrays of tables are not used here") }
      skipSpace()
      let name = try key()
      skipSpace()
      try expect("]")
      result = .table(name)
    } else {
      let name = try key()
      skipSpace()
      try expect("=")
      skipSpace()
      result = .pair(name, try value())
    }
    skipSpace()
    guard current == nil || current == "#" else { throw failure("unexpected text at the end of the line") }
    return result
  }

  private var current: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

  private mutating func skipSpace() {
    while current == " " || current == "\t" { index += 1 }
  }

  private mutating func expect(_ scalar: Unicode.Scalar) throws(TOMLDocument.Failure) {
    guard current == scalar else { throw failure("expected \(scalar)") }
    index += 1
  }

  private mutating func key() throws(TOMLDocument.Failure) -> String {
    if current == "\"" || current == "'" { return try string() }
    let start = index
    while let scalar = current, Self.isBareScalar(scalar) { index += 1 }
    guard index > start else { throw failure("expected a name") }
    return text(start..<index)
  }

  private mutating func value() throws(TOMLDocument.Failure) -> String {
    if current == "\"" || current == "'" { return try string() }
    let start = index
    while let scalar = current, scalar != "#", scalar != " ", scalar != "\t" { index += 1 }
    let word = text(start..<index)
    let digits = word.hasPrefix("-") || word.hasPrefix("+") ? word.dropFirst() : word[...]
    let isInteger = !digits.isEmpty && digits.unicodeScalars.allSatisfy { ("0"..."9").contains($0) }
    guard word == "true" || word == "false" || isInteger else {
      throw failure(word.isEmpty ? "expected a value" : "\(word) is no string, number or boolean: quote it")
    }
    return word
  }

  private func text(_ range: Range<Int>) -> String { String(String.UnicodeScalarView(scalars[range])) }

  private mutating func string() throws(TOMLDocument.Failure) -> String {
    guard let quote = current else { throw failure("expected a string") }
    index += 1
    var result = String.UnicodeScalarView()
    while let scalar = current {
      index += 1
      if scalar == quote {
        guard !(result.isEmpty && current == quote) else {
          throw failure("strings over several lines are not used here")
        }
        return String(result)
      }
      if scalar == "\\", quote == "\"" {
        result.append(try escape())
      } else {
        guard scalar.value >= 32 || scalar == "\t", scalar.value != 127 else {
          throw failure("control character in a string")
        }
        result.append(scalar)
      }
    }
    throw failure("string without an end")
  }

  private mutating func escape() throws(TOMLDocument.Failure) -> Unicode.Scalar {
    guard let scalar = current else { throw failure("string without an end") }
    index += 1
    switch scalar {
    case "\"", "\\": return scalar
    case "n": return "\n"
    case "t": return "\t"
    case "r": return "\r"
    case "b": return "\u{8}"
    case "f": return "\u{C}"
    case "u", "U":
      let count = scalar == "u" ? 4 : 8
      guard index + count <= scalars.count, let value = UInt32(text(index..<(index + count)), radix: 16),
        let result = Unicode.Scalar(value)
      else { throw failure("\\\(scalar) needs \(count) hexadecimal digits of a character") }
      index += count
      return result
    default: throw failure("unknown escape \\\(scalar)")
    }
  }
}
