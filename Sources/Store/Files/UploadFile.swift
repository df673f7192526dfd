public import Cryptography
import Glibc
import Synchronization

/// A file that arrives in pieces, over as many connections and restarts as it takes. It gets its name only when all of
/// it is here, has the announced digest and is on disk.
///
/// One at a time writes an upload; the next may go on when this one is closed or gone.
public final class UploadFile: Sendable {
  private struct State {
    var length: Int64
    let hasher: LockedHasher
    var descriptor: Int32?
  }

  private let path: String
  private let target: String
  private let registry: UploadRegistry
  private let reserve: DiskReserve?
  private let state: Mutex<State>

  /// Throws ``FileStoreError/busy`` while another has it open.
  init(
    path: String, target: String, registry: UploadRegistry, reserve: DiskReserve? = nil
  ) throws(FileStoreError) {
    self.reserve = reserve
    self.path = path
    self.target = target
    self.registry = registry
    guard registry.enter(path) else { throw .busy }
    var descriptor: Int32?
    do throws(FileStoreError) {
      let opened = try POSIXFile.open(path, O_RDWR | O_CREAT)
      descriptor = opened
      let hasher = SHA256()
      let length = try FileRange.hash(opened, path, into: hasher)
      state = Mutex(State(length: length, hasher: LockedHasher(hasher), descriptor: opened))
    } catch {
      if let descriptor { Glibc.close(descriptor) }
      registry.leave(path)
      throw error
    }
  }

  deinit { close() }

  /// Bytes that are here: where the next piece begins.
  public var length: Int64 { state.withLock { $0.length } }

  /// Adds a piece at the end. Throws ``FileStoreError/wrongOffset(expected:)`` for another place and
  /// ``FileStoreError/diskFull``; then the upload is as it was and can go on.
  public func append(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileStoreError) {
    let result: Result<Void, FileStoreError> = state.withLock { state in
      guard let descriptor = state.descriptor else { return .failure(.failed("the upload is closed")) }
      guard offset == state.length else { return .failure(.wrongOffset(expected: state.length)) }
      if reserve?.isSpent == true { return .failure(.diskFull) }
      do throws(FileStoreError) {
        try CrashPoint.uploadWrite.around { () throws(FileStoreError) in
          try POSIXFile.write(bytes, to: descriptor, at: offset, path)
        }
      } catch {
        _ = ftruncate(descriptor, off_t(state.length))
        return .failure(error)
      }
      state.hasher.update(bytes)
      state.length += Int64(bytes.count)
      return .success(())
    }
    try result.get()
  }

  /// Adds a piece at the end.
  public func append(_ bytes: [UInt8], at offset: Int64) throws(FileStoreError) {
    let result: Result<Void, FileStoreError> = bytes.withUnsafeBytes { buffer in
      Result { () throws(FileStoreError) in try append(buffer, at: offset) }
    }
    try result.get()
  }

  /// Checks the whole, makes it durable and gives it its name; replaces a file of the same name. Closes the upload.
  ///
  /// Throws ``FileStoreError/mismatch(expectedSize:expectedSHA256:foundSize:foundSHA256:)`` when size or digest differ;
  /// the partial file is then removed. After other errors it stays and can be finished again.
  public func finish(expectedSize: Int64, expectedSHA256: SHA256Digest) throws(FileStoreError) {
    let result: Result<Void, FileStoreError> = state.withLock { state in
      Result { () throws(FileStoreError) in
        guard let descriptor = state.descriptor else { throw .failed("the upload is closed") }
        let found = state.hasher.digestSoFar
        guard state.length == expectedSize, found == expectedSHA256 else {
          let error = FileStoreError.mismatch(
            expectedSize: expectedSize, expectedSHA256: expectedSHA256.hex, foundSize: state.length,
            foundSHA256: found.hex)
          try POSIXFile.remove(path)
          release(&state)
          throw error
        }
        try CrashPoint.uploadSync.around { () throws(FileStoreError) in try POSIXFile.sync(descriptor, path) }
        try POSIXFile.makeDirectories(POSIXFile.parent(of: target))
        try POSIXFile.move(path, to: target, .uploadRename)
        release(&state)
      }
    }
    try result.get()
  }

  /// Ends the writing; what arrived stays for the next.
  public func close() { state.withLock { release(&$0) } }

  private func release(_ state: inout State) {
    guard let descriptor = state.descriptor else { return }
    Glibc.close(descriptor)
    state.descriptor = nil
    registry.leave(path)
  }
}

/// Which uploads are open, so that two connections don't write one file.
final class UploadRegistry: Sendable {
  private let paths = Mutex<Set<String>>([])

  func enter(_ path: String) -> Bool { paths.withLock { $0.insert(path).inserted } }
  func leave(_ path: String) { _ = paths.withLock { $0.remove(path) } }
  func contains(_ path: String) -> Bool { paths.withLock { $0.contains(path) } }
}
