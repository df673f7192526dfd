extension Seconds {
  /// The longest duration taken on input: ten years. Longer ones are mistakes, and would overflow deadlines.
  public static let longestInput = Seconds.days(3660)

  /// Reads a duration as people write it: `90`, `90s`, `30m`, `2h`, `7d`, `2w`. Whole and positive only.
  /// Nil for zero, signs, fractions, spaces, unknown units and anything over ``longestInput``.
  public init?(durationText text: some StringProtocol) {
    var digits = Array(text.utf8)
    guard let last = digits.last else { return nil }
    var unit: Int64 = 1
    if let known = Self.units[last] {
      unit = known
      digits.removeLast()
    }
    guard !digits.isEmpty, digits.count <= 12,
      digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let count = Int64(String(decoding: digits, as: UTF8.self)), count > 0
    else { return nil }
    let (seconds, overflow) = count.multipliedReportingOverflow(by: unit)
    guard !overflow, seconds <= Self.longestInput.whole else { return nil }
    self.init(seconds)
  }

  /// What the grammar takes, for messages.
  public static func durationHelp(atMost limit: Seconds = longestInput) -> String {
    "a positive whole number with an optional unit s, m, h, d or w, like 90s, 30m, 2h, 7d; at most "
      + limit.durationText
  }

  /// In the largest unit that gives a whole number, no larger than days: `90s`, `2h`, `7d`.
  public var durationText: String {
    for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60)] as [(String, Int64)]
    where whole >= length && whole % length == 0 {
      return "\(whole / length)\(unit)"
    }
    return "\(whole)s"
  }

  private static let units: [UInt8: Int64] = [
    UInt8(ascii: "s"): 1, UInt8(ascii: "m"): 60, UInt8(ascii: "h"): 3600, UInt8(ascii: "d"): 86_400,
    UInt8(ascii: "w"): 604_800,
  ]
}
