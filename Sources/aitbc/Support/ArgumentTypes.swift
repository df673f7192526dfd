import ArgumentParser
import Marketplace

/// A length of time as people write it: `90`, `30m`, `2h`.
///
/// This and ``ByteSize`` are read by functions, and not by the parser's own protocol: then an error tells what is taken.
struct TimeSpan: Hashable, Sendable {
  let seconds: Seconds

  init(_ seconds: Seconds) { self.seconds = seconds }

  @Sendable static func read(_ argument: String) throws -> TimeSpan { try upTo(.longestInput)(argument) }

  /// Reads no longer ones.
  static func upTo(_ limit: Seconds) -> @Sendable (String) throws -> TimeSpan {
    { argument in
      guard let seconds = Seconds(durationText: argument), seconds <= limit else {
        throw ValidationError("must be " + Seconds.durationHelp(atMost: limit))
      }
      return TimeSpan(seconds)
    }
  }
}

/// A number of bytes as people write it: `1048576`, `512KiB`, `256MiB`, `2GiB`, `1TiB`, or `512K`, `10G` for the same;
/// `0` is allowed.
struct ByteSize: Hashable, Sendable {
  let bytes: Int64

  private static let units = ["KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40]
  private static let short = ["K": 10, "M": 20, "G": 30, "T": 40]

  init(_ bytes: Int64) { self.bytes = bytes }

  @Sendable static func read(_ argument: String) throws -> ByteSize {
    let digits = argument.prefix { ("0"..."9").contains($0) }
    let unit = String(argument.dropFirst(digits.count))
    guard let shift = unit.isEmpty ? 0 : Self.units[unit] ?? Self.short[unit.uppercased()], digits.utf8.count <= 15,
      let count = Int64(digits), count <= Int64.max >> shift
    else { throw ValidationError("must be a whole number of bytes, or one like 512KiB, 256MiB, 2GiB, 1TiB") }
    return ByteSize(count << shift)
  }
}

/// `NAME=VALUE`; the value may be empty and may hold further equals signs.
struct NameValue: ExpressibleByArgument, Hashable, Sendable {
  let name: String
  let value: String

  init?(argument: String) {
    guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else { return nil }
    name = String(argument[..<equals])
    value = String(argument[argument.index(after: equals)...])
  }
}

/// Per cent, 0 to 100 with at most two decimals.
struct FeePercent: ExpressibleByArgument, Hashable, Sendable {
  let rate: FeeRate

  var defaultValueDescription: String { rate.description }

  init(_ rate: FeeRate) { self.rate = rate }

  init?(argument: String) {
    guard let rate = FeeRate(percent: argument) else { return nil }
    self.rate = rate
  }
}

/// A word for job states, any that the coordinator knows.
struct StatusWord: ExpressibleByArgument, Hashable, Sendable {
  let word: String

  /// Takes one word or several with commas between; each must be known.
  init?(argument: String) {
    let words = argument.split(separator: ",", omittingEmptySubsequences: false)
    guard words.allSatisfy({ JobState.matching($0) != nil }) else { return nil }
    word = argument
  }
}

/// A job's id, as the option or in its place.
struct JobArgument: ParsableArguments {
  @Option(
    name: .customLong("job-id"), help: ArgumentHelp("The job; may also stand without the option.", valueName: "id"))
  var option: String?

  @Argument(help: ArgumentHelp("The job.", valueName: "id"))
  var positional: String?

  /// The id.
  var id: String { positional ?? option ?? "" }

  func validate() throws {
    switch (option, positional) {
    case (nil, nil): throw ValidationError("Which job? Give its id, or --job-id ID.")
    case (let first?, let second?) where first != second:
      throw ValidationError("Two jobs are named: \(first) and \(second). Give one.")
    default: break
    }
    // Whether it is an id at all is the coordinator's word (404): one that can't exist is not found like any other.
    guard !id.isEmpty, id.utf8.count <= 256 else { throw ValidationError("That is no job id.") }
  }
}
