public import Cryptography
import Glibc
public import Marketplace
import Synchronization

/// One output of one try as it arrives: bytes with their offsets, each byte once, in order.
///
/// A miner repeats what was not acknowledged, so a chunk may be known in part or wholly; what is new is appended.
/// May be used from many threads, one at a time inside.
public final class LogFile: Sendable {
  /// What became of a chunk.
  public enum Append: Hashable, Sendable {
    /// All of it is there now; the log is so long.
    case appended(length: Int64)
    /// All of it was there already.
    case duplicate(length: Int64)
    /// Bytes before it are missing; nothing was written. Send from here.
    case gap(expected: Int64)
  }

  private struct State {
    var length: Int64
    /// Has taken all of them.
    let hasher: LockedHasher
    var isDirty = false
  }

  private let path: String
  private let descriptor: Int32
  private let reserve: DiskReserve?
  private let state: Mutex<State>

  /// Opens or makes it. What a former process wrote is hashed again. Throws ``FileStoreError``.
  init(path: String, reserve: DiskReserve? = nil) throws(FileStoreError) {
    self.path = path
    self.reserve = reserve
    descriptor = try POSIXFile.open(path, O_RDWR | O_CREAT)
    do throws(FileStoreError) {
      let hasher = SHA256()
      let length = try FileRange.hash(descriptor, path, into: hasher)
      state = Mutex(State(length: length, hasher: LockedHasher(hasher)))
    } catch {
      close(descriptor)
      throw error
    }
  }

  deinit { close(descriptor) }

  /// Bytes that are there.
  public var length: Int64 { state.withLock { $0.length } }

  /// SHA-256 of all bytes that are there.
  public var digest: SHA256Digest { state.withLock { $0.hasher.digestSoFar } }

  /// Length and digest of the same moment.
  public var record: LogRecord {
    state.withLock { LogRecord(length: $0.length, sha256: $0.hasher.digestSoFar.hex) }
  }

  /// Takes a chunk that begins at `offset`. Does not wait for the disk, see ``sync()``. Throws ``FileStoreError``; then
  /// the log is as it was.
  public func append(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileStoreError) -> Append {
    let result: Result<Append, FileStoreError> = state.withLock { state in
      guard offset >= 0, offset <= state.length else { return .success(.gap(expected: state.length)) }
      let known = state.length - offset
      guard known < bytes.count else { return .success(.duplicate(length: state.length)) }
      let new = UnsafeRawBufferPointer(rebasing: bytes[Int(known)...])
      do throws(FileStoreError) {
        try CrashPoint.logWrite.around { () throws(FileStoreError) in try write(new, at: state.length) }
      } catch {
        // A part may be written already; the next chunk must find the old end.
        _ = ftruncate(descriptor, off_t(state.length))
        return .failure(error)
      }
      state.hasher.update(new)
      state.length += Int64(new.count)
      state.isDirty = true
      return .success(.appended(length: state.length))
    }
    return try result.get()
  }

  /// What runs may end: its last words have a share of the reserve.
  private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileStoreError) {
    if let reserve, !reserve.hasRoomForLogs { throw .diskFull }
    do throws(FileStoreError) {
      try POSIXFile.write(bytes, to: descriptor, at: offset, path)
    } catch .diskFull where reserve?.spend() == true {
      try POSIXFile.write(bytes, to: descriptor, at: offset, path)
    }
  }

  /// Takes a chunk that begins at `offset`.
  public func append(_ bytes: [UInt8], at offset: Int64) throws(FileStoreError) -> Append {
    let result: Result<Append, FileStoreError> = bytes.withUnsafeBytes { buffer in
      Result { () throws(FileStoreError) in try append(buffer, at: offset) }
    }
    return try result.get()
  }

  /// Up to `count` bytes from `offset`; fewer at the end, none behind it. Throws ``FileStoreError``.
  public func read(offset: Int64, count: Int) throws(FileStoreError) -> [UInt8] {
    try FileRange.read(descriptor, path, offset: offset, count: count)
  }

  /// Returns when all that was appended before is on disk. Throws ``FileStoreError``.
  public func sync() throws(FileStoreError) {
    let isDirty = state.withLock { state in
      defer { state.isDirty = false }
      return state.isDirty
    }
    guard isDirty else { return }
    do throws(FileStoreError) {
      try CrashPoint.logSync.around { () throws(FileStoreError) in try POSIXFile.sync(descriptor, path) }
    } catch {
      state.withLock { $0.isDirty = true }
      throw error
    }
  }
}

extension FileStore {
  /// Opens the log of a running try for appending; makes it when it is not there. Keep one for each log: two would not
  /// know of each other's bytes.
  public func openLog(_ job: JobID, tryNumber: Int, stream: LogStream) throws(FileStoreError) -> LogFile {
    let path = logPath(job, tryNumber, stream)
    try POSIXFile.makeDirectories(POSIXFile.parent(of: path))
    return try LogFile(path: path, reserve: reserve)
  }

  /// The log of any try for reading. Throws ``FileStoreError/notFound`` when it has none.
  public func readLog(_ job: JobID, tryNumber: Int, stream: LogStream) throws(FileStoreError) -> StoredFile {
    try StoredFile(path: logPath(job, tryNumber, stream))
  }
}
