import Cryptography
import Glibc
import ResultPackage
import Synchronization
public import Wire

/// One output of a job on the miner's disk: appended to by one writer, read back by the shipper, until the
/// coordinator has it all.
///
/// The file is the buffer: while the coordinator is away nothing is lost, and no more memory is used than for one
/// chunk. How much of it has travelled is ``LogCursor``'s to know.
public final class LogSpool: Sendable {
  /// Default of ``limit``: 256 MiB a stream.
  public static let defaultLimit: Int64 = 256 << 20

  public let path: String
  /// Bytes it takes at most.
  public let limit: Int64

  private struct State {
    var written: Int64 = 0
    let hasher = SHA256()
  }

  private let file: Descriptor
  private let state = Mutex(State())

  /// Makes an empty spool; the file must not exist yet. Throws ``FileError``.
  public init(path: String, limit: Int64 = defaultLimit) throws {
    self.path = path
    self.limit = limit
    file = try Descriptor(opening: path, O_RDWR | O_CREAT | O_EXCL)
  }

  /// A spool on a file that is there already, such as a device.
  init(existing path: String) throws {
    self.path = path
    limit = Self.defaultLimit
    file = try Descriptor(opening: path, O_RDWR)
  }

  /// How many bytes there are.
  public var written: Int64 { state.withLock { $0.written } }
  /// Length and digest of all that was written so far.
  public var fact: LogFact {
    state.withLock { LogFact(length: $0.written, sha256: $0.hasher.digestSoFar().hex) }
  }

  /// Appends bytes. One caller at a time. Blocks on the disk: not for the cooperative pool.
  ///
  /// - Throws: ``OutputTooLarge`` when they do not all fit under the limit (what fits is kept); ``FileError`` when
  ///   the disk
  ///   fails, with what was written before still counted.
  public func append(_ bytes: [UInt8]) throws {
    let start = written
    let room = Int(min(Int64(bytes.count), limit - start))
    var done = 0
    while done < room {
      let count = bytes.withUnsafeBytes { buffer in
        pwrite(file.raw, buffer.baseAddress.map { $0 + done }, room - done, off_t(start) + off_t(done))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw FileError(path: path, operation: "write", code: count < 0 ? errno : EIO) }
      // Counted only once it is in the file, so that a reader never runs ahead of the writer.
      state.withLock { [done] state in
        state.hasher.update(bytes[done..<(done + count)])
        state.written += Int64(count)
      }
      done += count
    }
    if room < bytes.count { throw OutputTooLarge(limit: limit) }
  }

  /// Bytes from an offset on: at most `count`, fewer near the end, none at or past it. Throws ``FileError``.
  public func read(from offset: Int64, count: Int = LogChunk.maximumData) throws -> [UInt8] {
    let available = Int(min(Int64(count), written - offset))
    guard offset >= 0, available > 0 else { return [] }
    var failure: FileError?
    let bytes = [UInt8](unsafeUninitializedCapacity: available) { buffer, filled in
      while filled < available {
        let got = pread(
          file.raw, buffer.baseAddress.map { $0 + filled }, available - filled, off_t(offset) + off_t(filled))
        if got < 0 && errno == EINTR { continue }
        guard got > 0 else {
          failure = FileError(path: path, operation: "read", code: got < 0 ? errno : EIO)
          return
        }
        filled += got
      }
    }
    if let failure { throw failure }
    return bytes
  }
}

/// A job wrote more than its logs may hold.
public struct OutputTooLarge: Error, Hashable, Sendable, CustomStringConvertible {
  /// Bytes.
  public let limit: Int64

  public var description: String { "an output stream has more than \(limit) bytes" }
}
