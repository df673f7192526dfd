/// How urgent a job is. Raises its place in the queue and its price.
public enum Priority: Int, CaseIterable, Hashable, Comparable, Sendable {
  case low = 0
  case normal = 1
  case high = 2
  case urgent = 3

  public init?(word: some StringProtocol) {
    guard let found = Self.allCases.first(where: { $0.word == word.lowercased() }) else { return nil }
    self = found
  }

  public var word: String {
    switch self {
    case .low: "low"
    case .normal: "normal"
    case .high: "high"
    case .urgent: "urgent"
    }
  }

  /// The price multiplier in tenths: low 0.8, normal 1, high 1.5, urgent 2.
  public var multiplierTenths: Int64 {
    switch self {
    case .low: 8
    case .normal: 10
    case .high: 15
    case .urgent: 20
    }
  }

  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// What an hour costs and what a run comes to.
public enum Pricing {
  /// Price per GPU-hour by the kind of GPU, unless the miner asks for another. Keys are normalised GPU names.
  public static let listPrices: [(gpu: String, price: Money)] = [
    ("v100", Money(micros: 50_000)), ("a100", Money(micros: 100_000)), ("rtx3090", Money(micros: 30_000)),
  ]

  /// What a miner without a listed GPU and without a price of its own asks: 0.01 per hour.
  public static let defaultPrice = Money(micros: 10_000)

  /// The list price of a GPU name such as `Tesla V100-SXM2-16GB`, or nil when it is not on the list.
  public static func listPrice(gpu name: String) -> Money? {
    listPrices.first { GPUName.matches(wanted: $0.gpu, offered: name) }?.price
  }

  /// Charge = hours run × GPUs (at least 1) × price × multiplier, rounded half up to a micro-unit.
  /// A negative span (a clock that was set back) costs nothing. Saturates beyond what ``Money`` holds.
  public static func charge(milliseconds: Int64, gpus: Int, hourly price: Money, priority: Priority) -> Money {
    guard milliseconds > 0, price.micros > 0 else { return .zero }
    // Two 63-bit factors fit in 128 bits; the others may not.
    let (span, tooLong) = (Int128(milliseconds) * Int128(max(1, gpus)))
      .multipliedReportingOverflow(by: Int128(priority.multiplierTenths))
    let (product, tooMuch) = span.multipliedReportingOverflow(by: Int128(price.micros))
    let divisor: Int128 = 3_600_000 * 10
    let (rounded, tooHigh) = product.addingReportingOverflow(divisor / 2)
    guard !tooLong, !tooMuch, !tooHigh else { return Money(micros: .max) }
    return Money(micros: Int64(clamping: rounded / divisor))
  }
}

/// GPU names are written many ways (`RTX 3090`, `NVIDIA GeForce RTX 3090`, `rtx-3090`); they are compared without
/// case, spaces and dashes, and without the maker's words in front.
public enum GPUName {
  public static func normalise(_ name: String) -> String {
    var text = String(decoding: name.lowercased().utf8.filter { !isSeparator($0) }, as: UTF8.self)
    for maker in ["nvidia", "geforce", "tesla", "quadro", "amd", "radeon"] where text.hasPrefix(maker) {
      text.removeFirst(maker.count)
    }
    return text
  }

  /// Whether an offered device is what was asked for: equal, or the asked name followed by a variant
  /// (`a100` takes `A100-SXM4-80GB` and `A100 80GB PCIe`; `a10` does not take `A100`).
  public static func matches(wanted: String, offered: String) -> Bool {
    let wanted = Array(normalise(wanted).utf8)
    guard let last = wanted.last, normalise(offered).utf8.starts(with: wanted) else { return false }
    let (next, isSeparated) = rest(of: offered, after: wanted.count)
    guard let next, !isSeparated else { return true }
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    return !(digits.contains(last) && digits.contains(next))
  }

  /// The byte of `name` that follows the first `count` bytes of its normalised form, and whether a separator stands
  /// before it: `H100 80GB` is an H100, though its digits run together without the space.
  private static func rest(of name: String, after count: Int) -> (next: UInt8?, isSeparated: Bool) {
    let bytes = Array(name.lowercased().utf8)
    var left = normalise(name).utf8.count - count
    guard left > 0 else { return (nil, false) }
    var index = bytes.count
    while left > 0 {
      index -= 1
      if !isSeparator(bytes[index]) { left -= 1 }
    }
    return (bytes[index], index > 0 && isSeparator(bytes[index - 1]))
  }

  private static func isSeparator(_ byte: UInt8) -> Bool { byte == 32 || byte == 45 || byte == 95 }
}
