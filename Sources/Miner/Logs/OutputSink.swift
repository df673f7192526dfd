public import Marketplace
import NIOCore
import NIOPosix
import ResultPackage

/// Where one output of a job goes: into its spool, and the shipper is told.
public struct OutputSink: Sendable {
  public let stream: LogStream
  let spool: LogSpool
  /// Told how long the log is now.
  let grew: @Sendable (Int64) -> Void

  /// Appends bytes; waits for the disk on a thread of its own, not on the cooperative pool. One caller at a time.
  public func write(_ bytes: [UInt8]) async throws {
    guard !bytes.isEmpty else { return }
    let spool = spool
    defer { grew(spool.written) }
    try await NIOThreadPool.singleton.runIfActive { try spool.append(bytes) }
  }

  /// Copies a pipe to its end. What can't be kept is still read, so that the writer isn't held up while it is being
  /// ended; `failed` is told once why.
  func copy(_ pipe: PipeReader, failed: @Sendable (RunnerStop) -> Void) async {
    var isKept = true
    var iterator = pipe.makeAsyncIterator()
    while let chunk = try? await iterator.next() {
      guard isKept else { continue }
      do {
        try await write(Array(chunk.readableBytesView))
      } catch {
        isKept = false
        failed(Self.reason(error))
      }
    }
  }

  private static func reason(_ error: any Error) -> RunnerStop {
    switch error {
    case let error as OutputTooLarge: .outputTooLarge(error)
    case let error as FileError: .spoolFailed(error.code)
    default: .spoolFailed(0)
    }
  }
}
