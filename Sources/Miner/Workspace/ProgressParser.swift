/// One step of progress.
public struct ProgressUpdate: Hashable, Sendable {
  /// 0 to 99: only the coordinator says 100, when the job has completed.
  public var percent: Int
  public var message: String?

  public init(percent: Int, message: String? = nil) {
    self.percent = percent
    self.message = message
  }
}

/// Reads what a job writes to `AITBC_PROGRESS`: lines like `45 epoch 3 of 7`, `45%` or `45.5 % half way`.
///
/// Incremental and forgiving: bytes come in any pieces; lines that are no progress, or longer than ``maximumLine``,
/// are skipped. The figure never falls: a lower one keeps the highest so far, its message still counts.
public struct ProgressParser: Sendable {
  /// Bytes of a line without its newline.
  public static let maximumLine = 4096
  /// Characters of a message; the rest is cut.
  public static let maximumMessage = 512

  private var line: [UInt8] = []
  private var isTooLong = false
  private var highest = 0

  public init() {}

  /// Takes the next bytes. Returns the last update in them: each replaces the one before.
  public mutating func consume(_ bytes: some Sequence<UInt8>) -> ProgressUpdate? {
    var latest: ProgressUpdate?
    for byte in bytes {
      if byte == UInt8(ascii: "\n") {
        if let update = finishLine() { latest = update }
      } else if line.count < Self.maximumLine {
        line.append(byte)
      } else {
        isTooLong = true
      }
    }
    return latest
  }

  private mutating func finishLine() -> ProgressUpdate? {
    defer {
      line.removeAll(keepingCapacity: true)
      isTooLong = false
    }
    guard !isTooLong, let (percent, rest) = Self.number(in: line[...]) else { return nil }
    highest = max(highest, min(percent, 99))
    return ProgressUpdate(percent: highest, message: Self.message(rest))
  }

  /// The whole part of a number at the start, with what follows it. Nil when the line does not begin with a plain
  /// number.
  private static func number(in line: ArraySlice<UInt8>) -> (Int, ArraySlice<UInt8>)? {
    var rest = line.drop(while: isSpace)
    let digits = rest.prefix(while: isDigit)
    guard !digits.isEmpty else { return nil }
    // Past any sense already at four digits, and no overflow at a thousand.
    let value = digits.reduce(0) { min(10_000, $0 * 10 + Int($1 - 48)) }
    rest = rest.dropFirst(digits.count)
    if rest.first == UInt8(ascii: ".") {
      let fraction = rest.dropFirst().prefix(while: isDigit)
      guard !fraction.isEmpty else { return nil }
      rest = rest.dropFirst(1 + fraction.count)
    }
    let afterSpace = rest.drop(while: isSpace)
    if afterSpace.first == UInt8(ascii: "%") { rest = afterSpace.dropFirst() }
    guard rest.isEmpty || rest.first.map(isSpace) == true else { return nil }
    return (value, rest)
  }

  private static func message(_ bytes: ArraySlice<UInt8>) -> String? {
    let text = String(decoding: bytes.drop(while: isSpace), as: UTF8.self)
    let plain = text.unicodeScalars.filter { $0.value >= 32 && !(127...159).contains($0.value) }
    let trimmed = String(String.UnicodeScalarView(plain)).prefix(maximumMessage)
    return trimmed.isEmpty ? nil : String(trimmed)
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }
  private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 13 }
}
