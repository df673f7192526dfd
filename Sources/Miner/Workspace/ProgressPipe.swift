import Glibc
import NIOCore
import NIOPosix

/// The miner's end of `AITBC_PROGRESS`.
struct ProgressPipe: Sendable {
  private let reader: PipeReader

  /// Opens the FIFO for both directions, so that it neither waits for a writer nor ends when one closes it.
  static func open(_ path: String) async -> ProgressPipe? {
    guard let file = try? Descriptor(opening: path, O_RDWR | O_NONBLOCK | O_NOFOLLOW),
      let reader = try? await PipeReader.open(file, on: .singletonMultiThreadedEventLoopGroup)
    else { return nil }
    return ProgressPipe(reader: reader)
  }

  /// Reports each new figure until ``close()``.
  func follow(_ report: @Sendable (ProgressUpdate) -> Void) async {
    var parser = ProgressParser()
    var iterator = reader.makeAsyncIterator()
    while let chunk = try? await iterator.next() {
      if let update = parser.consume(chunk.readableBytesView) { report(update) }
    }
  }

  func close() { reader.close() }
}
