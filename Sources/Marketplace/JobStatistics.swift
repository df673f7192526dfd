/// What became of an account's jobs, in a few figures.
public struct JobStatistics: Hashable, Sendable {
  /// Jobs by state; states without jobs may be missing.
  public let counts: [JobState: Int]
  /// Milliseconds from start to end, over the completed.
  public let runTime: Int64
  public let spent: Money

  public init(counts: [JobState: Int], runTime: Int64, spent: Money) {
    self.counts = counts
    self.runTime = runTime
    self.spent = spent
  }

  public var submitted: Int { counts.values.reduce(0, +) }

  /// Completed ÷ (completed + failed + lost + expired), from `0.0000` to `1.0000`, rounded to the nearest; nil before
  /// the first of these ended. Jobs that were canceled or have not ended say nothing about success.
  public var successRate: String? {
    let good = count(.completed)
    let all = good + count(.failed) + count(.lost) + count(.expired)
    guard all > 0 else { return nil }
    return Self.decimal((good * 20_000 / all + 1) / 2, places: 4)
  }

  /// Mean seconds from start to end of the completed jobs, with three decimals; nil without any.
  public var meanRunTime: String? {
    let completed = Int64(count(.completed))
    guard completed > 0 else { return nil }
    return Self.decimal(Int(runTime / completed), places: 3)
  }

  public func count(_ state: JobState) -> Int { counts[state] ?? 0 }

  private static func decimal(_ number: Int, places: Int) -> String {
    let digits = String(number)
    let padded = String(repeating: "0", count: max(0, places + 1 - digits.utf8.count)) + digits
    return padded.dropLast(places) + "." + padded.suffix(places)
  }
}
