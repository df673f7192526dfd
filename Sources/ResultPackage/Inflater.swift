/// Unpacks one raw deflate stream (RFC 1951). Not for use by two threads at once.
final class Inflater {
  enum Status { case needsInput, ended }

  private let stream: InflateStream
  private var output = [UInt8](repeating: 0, count: 128 * 1024)

  init() throws { stream = try InflateStream() }

  /// Unpacks what `input` holds and hands it on in pieces of up to 128 KiB.
  ///
  /// - Returns: whether the stream ended, and how many bytes of the input were left over then; nil when the data is
  ///   damaged.
  func inflate(
    _ input: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws -> (status: Status, rest: Int)? {
    var rest = input
    while true {
      guard let step = try output.withUnsafeMutableBytes({ try stream.step(rest, into: $0) }) else { return nil }
      if step.produced > 0 {
        try output.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<step.produced])) }
      }
      rest = UnsafeRawBufferPointer(rebasing: rest.suffix(step.rest))
      if step.isEnd { return (.ended, step.rest) }
      // With room left and no input it wants more.
      if step.isStuck || (rest.isEmpty && step.produced < output.count) { return (.needsInput, 0) }
    }
  }
}
