/// An amount of money in micro-units (1/1,000,000 of the unit of account). Exact; never floating point.
public struct Money: Hashable, Comparable, Sendable {
  public let micros: Int64

  public init(micros: Int64) { self.micros = micros }

  public static let zero = Money(micros: 0)
  public static func < (left: Self, right: Self) -> Bool { left.micros < right.micros }
  public static prefix func - (amount: Self) -> Self {
    Money(micros: amount.micros == .min ? .max : -amount.micros)
  }

  public static func + (left: Self, right: Self) -> Self {
    let (sum, overflow) = left.micros.addingReportingOverflow(right.micros)
    return Money(micros: overflow ? (right.micros < 0 ? .min : .max) : sum)
  }

  /// The largest amount taken on input: a billion units.
  public static let largestInput = Money(micros: 1_000_000_000_000_000)

  /// Reads a decimal like `0.025` exactly: optional point, at most six decimals, no sign, no exponent.
  /// Nil for anything else and for amounts over ``largestInput``.
  public init?(decimal text: some StringProtocol) {
    let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count <= 2, let whole = parts.first, !whole.isEmpty, whole.count <= 10,
      parts.allSatisfy({ $0.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } })
    else { return nil }
    let fraction = parts.count == 2 ? Array(parts[1]) : []
    guard parts.count == 1 || (1...6).contains(fraction.count),
      let units = Int64(String(decoding: whole, as: UTF8.self)),
      let millionths = Int64(
        String(decoding: fraction + Array(repeating: UInt8(ascii: "0"), count: 6 - fraction.count), as: UTF8.self))
    else { return nil }
    self.init(micros: units * 1_000_000 + millionths)
    guard self <= Self.largestInput else { return nil }
  }
}

extension Money: CustomStringConvertible {
  /// Six decimals always: `0.025000`. The form in JSON.
  public var description: String {
    let magnitude = micros.magnitude
    let fraction = String(magnitude % 1_000_000)
    return (micros < 0 ? "-" : "") + String(magnitude / 1_000_000) + "."
      + String(repeating: "0", count: 6 - fraction.utf8.count) + fraction
  }
}
