public import Marketplace

/// Forgets one input that nobody needs: no job names it whose results are here, and nobody has used it for a while.
/// Its file is removed afterwards, while nobody uploads it; then it leaves the list of removals.
public struct BlobCollection: Sendable {
  /// How long an input stays that no job names: who has uploaded it may be about to submit.
  public static let grace = Seconds(86_400)
  /// Asking for an input again renews its time when the last use is older than this.
  public static let freshness = Seconds(3_600)

  public var sha256: String
  public var now: Timestamp

  public init(sha256: String, now: Timestamp) {
    self.sha256 = sha256
    self.now = now
  }

  /// False when it is needed, used lately, or not here.
  public func run(in market: any MarketTransaction) throws -> Bool {
    guard let blob = try market.blob(sha256), blob.usedAt < now - Self.grace, try !market.isNeeded(blob: sha256) else {
      return false
    }
    try market.forget(blob: sha256)
    return true
  }
}
