extension Timestamp: CustomStringConvertible {
  /// RFC 3339 in UTC with milliseconds: `2026-02-13T10:00:00.000Z`. The format has four digits for the year, so times
  /// outside 0000–9999 are shown as the first or last moment of those years.
  public var description: String {
    let milliseconds = min(max(milliseconds, Self.firstShown), Self.lastShown)
    let days = milliseconds.floorDivided(by: 86_400_000)
    let (year, month, day) = CivilDate.from(daysSinceEpoch: days)
    let rest = milliseconds - days * 86_400_000
    return pad(year, 4) + "-" + pad(month, 2) + "-" + pad(day, 2) + "T" + pad(rest / 3_600_000, 2) + ":"
      + pad(rest / 60_000 % 60, 2) + ":" + pad(rest / 1000 % 60, 2) + "." + pad(rest % 1000, 3) + "Z"
  }

  /// 0000-01-01T00:00:00.000Z
  private static let firstShown: Int64 = -62_167_219_200_000
  /// 9999-12-31T23:59:59.999Z
  private static let lastShown: Int64 = 253_402_300_799_999

  /// Reads an RFC 3339 date-time (`Z` or a numeric offset, any number of fraction digits). Nil for anything else,
  /// also for dates that do not exist and for leap seconds (`:60`). Digits past the millisecond are cut off.
  public init?(rfc3339 text: some StringProtocol) {
    var reader = DigitReader(Array(text.utf8))
    guard let days = reader.date(), reader.take(anyOf: "Tt "),
      let hour = reader.number(2), hour < 24, reader.take(anyOf: ":"),
      let minute = reader.number(2), minute < 60, reader.take(anyOf: ":"),
      let second = reader.number(2), second < 60
    else { return nil }
    var fraction: Int64 = 0
    if reader.take(anyOf: ".") {
      guard let value = reader.fraction() else { return nil }
      fraction = value
    }
    guard let offsetMinutes = reader.offset(), reader.isAtEnd else { return nil }
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offsetMinutes * 60
    milliseconds = seconds * 1000 + fraction
  }

  /// Reads `2026-01-31` as that day's first moment in UTC. Nil for anything else.
  public init?(date text: some StringProtocol) {
    var reader = DigitReader(Array(text.utf8))
    guard let days = reader.date(), reader.isAtEnd else { return nil }
    milliseconds = days * 86_400_000
  }
}

private func pad(_ value: Int64, _ width: Int) -> String {
  let digits = String(value)
  return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}

/// The proleptic Gregorian calendar by day number (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
enum CivilDate {
  static func from(daysSinceEpoch days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = shifted.floorDivided(by: 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthIndex = (5 * dayOfYear + 2) / 153
    let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthIndex + 2) / 5 + 1)
  }

  static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64? {
    guard (1...12).contains(month), day >= 1, day <= length(of: month, in: year) else { return nil }
    let shiftedYear = month <= 2 ? year - 1 : year
    let era = shiftedYear.floorDivided(by: 400)
    let yearOfEra = shiftedYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private static func length(of month: Int64, in year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }
}

private struct DigitReader {
  private let bytes: [UInt8]
  private var index = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { index == bytes.count }

  mutating func number(_ digits: Int) -> Int64? {
    guard index + digits <= bytes.count else { return nil }
    var value: Int64 = 0
    for byte in bytes[index..<(index + digits)] {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      value = value * 10 + Int64(byte - UInt8(ascii: "0"))
    }
    index += digits
    return value
  }

  mutating func take(anyOf characters: String) -> Bool {
    guard index < bytes.count, characters.utf8.contains(bytes[index]) else { return false }
    index += 1
    return true
  }

  mutating func date() -> Int64? {
    guard let year = number(4), take(anyOf: "-"), let month = number(2), take(anyOf: "-"), let day = number(2)
    else { return nil }
    return CivilDate.daysSinceEpoch(year: year, month: month, day: day)
  }

  /// At least one digit after the point; milliseconds.
  mutating func fraction() -> Int64? {
    var value: Int64 = 0
    var count = 0
    while let digit = number(1) {
      if count < 3 { value = value * 10 + digit }
      count += 1
    }
    guard count > 0 else { return nil }
    for _ in 0..<max(0, 3 - count) { value *= 10 }
    return value
  }

  /// Minutes east of UTC.
  mutating func offset() -> Int64? {
    if take(anyOf: "Zz") { return 0 }
    let sign: Int64
    if take(anyOf: "+") { sign = 1 } else if take(anyOf: "-") { sign = -1 } else { return nil }
    guard let hours = number(2), hours < 24, take(anyOf: ":"), let minutes = number(2), minutes < 60 else { return nil }
    return sign * (hours * 60 + minutes)
  }
}
