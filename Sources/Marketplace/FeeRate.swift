/// The market's share of every charge, in hundredths of a per cent.
public struct FeeRate: Hashable, Sendable {
  /// 0–10,000.
  public let basisPoints: Int64

  /// Nil beyond 100 per cent.
  public init?(basisPoints: Int64) {
    guard (0...10_000).contains(basisPoints) else { return nil }
    self.basisPoints = basisPoints
  }

  private init(_ basisPoints: Int64) { self.basisPoints = basisPoints }

  public static let none = FeeRate(0)

  /// Reads per cent as people write them: `5`, `2.5`, `0.25`; at most two decimals, at most 100.
  public init?(percent text: some StringProtocol) {
    guard let amount = Money(decimal: text), amount.micros % 10_000 == 0 else { return nil }
    self.init(basisPoints: amount.micros / 10_000)
  }

  /// Rounded down to a micro-unit: the miner gets what is left over.
  public func share(of charge: Money) -> Money {
    Money(micros: Int64(Int128(max(0, charge.micros)) * Int128(basisPoints) / 10_000))
  }
}

extension FeeRate: CustomStringConvertible {
  /// Per cent with two decimals: `2.50`.
  public var description: String {
    let hundredths = basisPoints % 100
    return "\(basisPoints / 100)." + (hundredths < 10 ? "0" : "") + "\(hundredths)"
  }
}
