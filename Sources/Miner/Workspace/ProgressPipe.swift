import Glibc
import NIOCore
import NIOPosix

/// The miner's end of `AITBC_PROGRESS`.
struct ProgressPipe: Sendable {
  private let reader: PipeReader
  /// The same FIFO, for what is left in it when the reader has stopped.
  private let rest: SharedDescriptor

  /// Opens the FIFO for both directions, so that it neither waits for a writer nor ends when one closes it.
  static func open(_ path: String) async -> ProgressPipe? {
    guard let file = try? Descriptor(opening: path, O_RDWR | O_NONBLOCK | O_NOFOLLOW),
      let rest = try? Descriptor(opening: path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW),
      let reader = try? await PipeReader.open(file, on: .singletonMultiThreadedEventLoopGroup)
    else { return nil }
    return ProgressPipe(reader: reader, rest: SharedDescriptor(rest))
  }

  /// Reports each new figure until ``close()``.
  func follow(_ report: @Sendable (ProgressUpdate) -> Void) async {
    var parser = ProgressParser()
    var iterator = reader.makeAsyncIterator()
    while let chunk = try? await iterator.next() {
      if let update = parser.consume(chunk.readableBytesView) { report(update) }
    }
    // Written before the program's end and not read yet: at most a FIFO's capacity, and nobody writes any more.
    var bytes = [UInt8](repeating: 0, count: PipeReader.chunkBytes)
    for _ in 0..<16 {
      let count = read(rest.raw, &bytes, bytes.count)
      guard count > 0 else { return }
      if let update = parser.consume(bytes[..<count]) { report(update) }
    }
  }

  func close() { reader.close() }
}
