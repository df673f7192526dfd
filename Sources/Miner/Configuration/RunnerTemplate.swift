public import JSON

/// A runner that the operator adds: `--runner "name=command template"`.
///
/// The template is split into words like a shell does (blanks, single and double quotes, backslash), once, before
/// anything of a job is put in: what a job says can never become another word or command. In each word `{member}`
/// stands for a member of the job's payload: text as it is, everything else as JSON; `{payload}` for the whole; `{{`
/// for a brace.
public struct RunnerTemplate: Hashable, Sendable {
  public let name: String
  private let words: [[Piece]]

  private enum Piece: Hashable {
    case text(String)
    case member(String)
  }

  /// Names that operators can't take.
  static let reserved = ["process", "noop", "inference"]
  /// Bytes of one word after filling in.
  static let maximumWord = 128 << 10

  /// Reads `name=template`.
  public init(_ option: String) throws(InvalidTemplate) {
    guard let equals = option.firstIndex(of: "=") else { throw InvalidTemplate("--runner must be name=command") }
    name = String(option[..<equals])
    let isName = !name.isEmpty && name.utf8.count <= 64 && name.utf8.allSatisfy(Self.isNameByte)
    guard isName else { throw InvalidTemplate("--runner \"\(name)\": a name has letters, digits, '-', '_' and '.'") }
    guard !Self.reserved.contains(name) else { throw InvalidTemplate("--runner \(name): that runner is built in") }
    let texts = try ShellWords.split(String(option[option.index(after: equals)...]))
    guard !texts.isEmpty else { throw InvalidTemplate("--runner \(name): the command is empty") }
    var words: [[Piece]] = []
    for text in texts { words.append(try Self.pieces(text)) }
    self.words = words
  }

  /// The command for one job. Throws ``InvalidCommand`` when the payload lacks a member.
  public func command(for payload: JSONObject) throws(InvalidCommand) -> [String] {
    var command: [String] = []
    for word in words {
      var text = ""
      for piece in word {
        switch piece {
        case .text(let plain): text += plain
        case .member(let name): text += try Self.value(name, in: payload)
        }
      }
      guard text.utf8.count <= Self.maximumWord else { throw InvalidCommand("payload: too long for a command line") }
      command.append(text)
    }
    return command
  }

  private static func value(_ name: String, in payload: JSONObject) throws(InvalidCommand) -> String {
    if name == "payload" { return JSONValue.object(payload).text }
    guard let value = payload[name] else { throw InvalidCommand("payload.\(name) is missing: this runner needs it") }
    return value.string ?? value.text
  }

  private static func pieces(_ word: String) throws(InvalidTemplate) -> [Piece] {
    var pieces: [Piece] = []
    var plain = ""
    var rest = Substring(word)
    while let first = rest.first {
      rest.removeFirst()
      if first != "{" {
        plain.append(first)
      } else if rest.first == "{" {
        rest.removeFirst()
        plain.append("{")
      } else {
        guard let end = rest.firstIndex(of: "}"), end > rest.startIndex else {
          throw InvalidTemplate("--runner: \"\(word)\" has a brace that is not closed; write {{ for a brace")
        }
        if !plain.isEmpty { pieces.append(.text(plain)) }
        plain = ""
        pieces.append(.member(String(rest[..<end])))
        rest = rest[rest.index(after: end)...]
      }
    }
    if !plain.isEmpty || pieces.isEmpty { pieces.append(.text(plain)) }
    return pieces
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122, 45, 46, 95: true
    default: false
    }
  }
}

/// What is wrong with a `--runner`.
public struct InvalidTemplate: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

/// Splits a command line as a shell does, without its expansions.
enum ShellWords {
  static func split(_ line: String) throws(InvalidTemplate) -> [String] {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var escaped = false
    for character in line {
      if escaped {
        // Within double quotes a backslash protects only what has a meaning there (POSIX Shell §2.2.3).
        if quote == "\"", character != "\"", character != "\\" { word = (word ?? "") + "\\" }
        word = (word ?? "") + String(character)
        escaped = false
      } else if character == "\\", quote != "'" {
        escaped = true
      } else if character == quote {
        quote = nil
      } else if quote == nil, character == "'" || character == "\"" {
        quote = character
        word = word ?? ""
      } else if quote == nil, character == " " || character == "\t" || character == "\n" {
        if let word { words.append(word) }
        word = nil
      } else {
        word = (word ?? "") + String(character)
      }
    }
    guard quote == nil, !escaped else { throw InvalidTemplate("--runner: a quote or backslash is not closed") }
    if let word { words.append(word) }
    return words
  }
}
