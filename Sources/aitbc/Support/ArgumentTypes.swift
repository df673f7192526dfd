import ArgumentParser
import Marketplace

/// A length of time as people write it: `90`, `30m`, `2h`.
struct TimeSpan: ExpressibleByArgument, Hashable, Sendable {
  let seconds: Seconds

  /// As help shows a default.
  var defaultValueDescription: String { "\(seconds.whole)s" }

  init(_ seconds: Seconds) { self.seconds = seconds }

  init?(argument: String) {
    guard let seconds = Seconds(durationText: argument) else { return nil }
    self.seconds = seconds
  }
}

/// A number of bytes as people write it: `4096`, `512M`, `10G` (powers of 1,024).
struct ByteSize: ExpressibleByArgument, Hashable, Sendable {
  let bytes: Int64

  /// As help shows a default.
  var defaultValueDescription: String {
    let unit = Self.units.last { bytes > 0 && bytes % $0.factor == 0 }
    return unit.map { "\(bytes / $0.factor)\($0.letter)" } ?? "\(bytes)"
  }

  private static let units: [(letter: Character, factor: Int64)] = [
    ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40),
  ]

  init(_ bytes: Int64) { self.bytes = bytes }

  init?(argument: String) {
    var digits = argument.uppercased()
    if digits.hasSuffix("IB") { digits.removeLast(2) }
    var factor: Int64 = 1
    if let unit = Self.units.first(where: { $0.letter == digits.last }) {
      digits.removeLast()
      factor = unit.factor
    }
    guard digits.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int64(digits) else { return nil }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
    guard !overflow else { return nil }
    self.bytes = bytes
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
