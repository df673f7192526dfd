/// Files that a job left and that no result can hold, as lines for the job's own log: its owner sees them live and
/// finds them in the package.
struct LeftOut: Hashable, Sendable {
  /// Names told at most; the rest is counted.
  static let maximumNamed = 100

  private var named: [String] = []
  private(set) var count = 0

  init() {}

  var isEmpty: Bool { count == 0 }

  /// `name` may be any bytes.
  mutating func note(_ name: [UInt8], _ reason: String) {
    count += 1
    if count <= Self.maximumNamed { named.append("\(Self.printable(name)): \(reason)") }
  }

  /// One line for each, with a line end.
  var lines: [String] {
    let rest = count - named.count
    return named.map { "aitbc: artifact left out: \($0)\n" }
      + (rest > 0 ? ["aitbc: \(rest) more artifacts left out\n"] : [])
  }

  /// Text as it is, everything else as `\xHH`: a name must not fake a line.
  private static func printable(_ name: [UInt8]) -> String {
    guard let text = String(validating: name, as: UTF8.self) else {
      return name.map { (33..<127).contains($0) && $0 != 92 ? String(UnicodeScalar($0)) : escaped($0) }.joined()
    }
    return text.unicodeScalars.map { scalar in
      let isPlain = scalar.value != 92 && !scalar.properties.isControlOrFormat
      return isPlain ? String(scalar) : String(scalar).utf8.map(escaped).joined()
    }.joined()
  }

  private static func escaped(_ byte: UInt8) -> String {
    "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }
}

extension Unicode.Scalar.Properties {
  fileprivate var isControlOrFormat: Bool {
    switch generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: true
    default: false
    }
  }
}
