/// Counts how often a value lay in which range, from any thread. Observing costs three atomic additions at most.
public final class Histogram: Sendable {
  /// What a value is.
  public enum Unit: Sendable {
    /// Microseconds; shown as seconds.
    case duration
    /// A count of things.
    case number

    /// How a value is shown.
    func text(_ value: Int64) -> String {
      switch self {
      case .number: String(value)
      case .duration: Self.seconds(microseconds: value)
      }
    }

    private static func seconds(microseconds value: Int64) -> String {
      let (whole, rest) = value.quotientAndRemainder(dividingBy: 1_000_000)
      guard rest != 0 else { return String(whole) }
      let digits = String(1_000_000 + rest).dropFirst()
      let end = digits.lastIndex { $0 != "0" } ?? digits.startIndex
      return "\(whole).\(digits[...end])"
    }
  }

  public let unit: Unit
  /// The upper end of each range, itself in it; rising. Values above the last are counted in none.
  public let bounds: [Int64]
  private let counts: [Counter]
  private let above = Counter()
  private let total = Counter()

  public init(_ unit: Unit, bounds: [Int64]) {
    self.unit = unit
    self.bounds = bounds
    counts = bounds.map { _ in Counter() }
  }

  /// From a millisecond to a minute: for what somebody waits for.
  public static func durations() -> Histogram {
    Histogram(
      .duration,
      bounds: [
        1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
        60_000_000,
      ])
  }

  public func observe(_ value: Int64) {
    let place = bounds.firstIndex { value <= $0 }
    (place.map { counts[$0] } ?? above).add()
    total.add(Int(value))
  }

  /// What was observed so far: for each bound, how many values were no larger; how many there were; their sum.
  public var reading: (cumulative: [Int64], count: Int64, sum: Int64) {
    var (cumulative, running): ([Int64], Int64) = ([], 0)
    for counter in counts {
      running += counter.value
      cumulative.append(running)
    }
    return (cumulative, running + above.value, total.value)
  }
}
