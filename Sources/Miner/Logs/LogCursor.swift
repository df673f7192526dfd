import Wire

/// How far one log has travelled. A value: the shipper asks it what to send next.
///
/// The coordinator answers each chunk once (an acknowledgement, or an error), so the number of chunks under way
/// bounds what a renewal may have to wait behind, and tells when a gap must be filled: all are answered and not all
/// is there.
struct LogCursor: Hashable, Sendable {
  /// Chunks under way at most: 256 KiB.
  static let window = 4

  /// Bytes that the job has written.
  private(set) var written: Int64 = 0
  /// Bytes that went out over the present connection, or before.
  private(set) var sent: Int64 = 0
  /// Bytes that the coordinator has.
  private(set) var acknowledged: Int64 = 0
  private(set) var inFlight = 0

  init() {}

  /// The coordinator has it all.
  var isDrained: Bool { acknowledged == written }

  mutating func grew(to length: Int64) { written = max(written, length) }

  /// The next bytes to send, counted as sent; nil when there are none, or too many are under way.
  mutating func next() -> Range<Int64>? {
    guard inFlight < Self.window, sent < written else { return nil }
    let end = min(written, sent + Int64(LogChunk.maximumData))
    defer {
      sent = end
      inFlight += 1
    }
    return sent..<end
  }

  /// The coordinator has everything before `offset`.
  mutating func acknowledged(_ offset: Int64) {
    acknowledged = max(acknowledged, min(max(0, offset), written))
    // It may know more than this connection has sent.
    sent = max(sent, acknowledged)
    answered()
  }

  /// A chunk was not kept.
  mutating func rejected() { answered() }

  /// A new connection stands; the coordinator has everything before `offset`, which may be less than it once said.
  mutating func resume(from offset: Int64) {
    acknowledged = min(max(0, offset), written)
    sent = acknowledged
    inFlight = 0
  }

  private mutating func answered() {
    inFlight = max(0, inFlight - 1)
    // All are answered, so what is not acknowledged did not arrive.
    if inFlight == 0 { sent = acknowledged }
  }
}
