/// Text from outside on its way to a terminal.
enum Printable {
  /// Control characters become spaces (tabs and line ends) or `?`, so that a job's name or error can neither move the
  /// cursor nor fake a line.
  static func line(_ text: String) -> String {
    String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { scalar in
          switch scalar.value {
          case 9, 10, 13: " "
          case 0..<32, 127..<160: "?"
          // Marks that turn the direction of writing.
          case 0x202A...0x202E, 0x2066...0x2069: "?"
          default: scalar
          }
        }))
  }

  /// At most `width` characters; longer text ends in `…`.
  static func cut(_ text: String, to width: Int) -> String {
    guard text.count > width else { return text }
    return width <= 1 ? String(text.prefix(max(0, width))) : text.prefix(width - 1) + "…"
  }

  /// Breaks at spaces into lines of at most `width` characters, all but the first indented by two. A longer word stays
  /// whole. `width` nil: one line.
  static func wrapped(_ text: String, to width: Int?) -> [String] {
    guard let width, text.count > width else { return [text] }
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
      if !line.isEmpty, line.count + 1 + word.count > width {
        lines.append(line)
        line = "  " + word
      } else {
        line += (lines.isEmpty && line.isEmpty ? "" : " ") + word
      }
    }
    return lines + [line]
  }

  /// A word as a shell reads it back.
  static func shellWord(_ word: String) -> String {
    let plain = word.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: "-_./:=@%+,".utf8.contains(byte)
      }
    }
    if plain, !word.isEmpty { return word }
    return "'" + line(word).replacing("'", with: #"'\''"#) + "'"
  }

  /// `812 B`, `1.5 KiB`, `3.2 GiB`.
  static func bytes(_ count: Int64) -> String {
    guard count >= 1024 else { return "\(count) B" }
    var value = Double(count)
    var unit = 0
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"]
    repeat {
      value /= 1024
      unit += 1
    } while value >= 1024 && unit < units.count
    let tenths = Int64((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10) \(units[unit - 1])"
  }

  /// `0:07`, `12:30`, `3:05:00`, `2d 3:05:00`.
  static func duration(_ seconds: Int64) -> String {
    let seconds = max(0, seconds)
    func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
    if days > 0 { return "\(days)d \(hours):\(two(minutes)):\(two(rest))" }
    return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(minutes):\(two(rest))"
  }
}
