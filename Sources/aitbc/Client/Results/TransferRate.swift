import Marketplace

/// How fast bytes move, over the last few seconds. A value.
struct TransferRate: Hashable, Sendable {
  private struct Sample: Hashable {
    let at: Timestamp
    let bytes: Int64
  }

  /// Older bytes don't count, so that a stall shows.
  private static let window: Int64 = 5_000
  private var samples: [Sample] = []

  /// - Parameter bytes: how many are here in all; those of an earlier attempt count in no rate.
  mutating func note(_ bytes: Int64, at now: Timestamp) {
    samples.append(Sample(at: now, bytes: bytes))
    // One that is older stays: the rate is measured from it.
    while samples.count > 2, now.millisecondsSince(samples[1].at) >= Self.window { samples.removeFirst() }
  }

  /// Bytes a second; nil before there is anything to measure.
  var perSecond: Int64? {
    guard let first = samples.first, let last = samples.last, last.at.millisecondsSince(first.at) >= 200 else {
      return nil
    }
    return (last.bytes - first.bytes) * 1000 / last.at.millisecondsSince(first.at)
  }

  /// Seconds until `total` bytes are here; nil while nothing moves.
  func remaining(of total: Int64) -> Int64? {
    guard let perSecond, perSecond > 0, let last = samples.last else { return nil }
    return (total - last.bytes + perSecond - 1) / perSecond
  }

  /// `42% 420.0 MiB of 1.0 GiB, 88.1 MiB/s, 0:07 left`.
  func line(of total: Int64) -> String {
    let done = samples.last?.bytes ?? 0
    var text = "\(total > 0 ? done * 100 / total : 100)% \(Printable.bytes(done)) of \(Printable.bytes(total))"
    if let perSecond { text += ", \(Printable.bytes(perSecond))/s" }
    if let remaining = remaining(of: total) { text += ", \(Printable.duration(remaining)) left" }
    return text
  }
}
