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
      if let kept = registry.takeHasher(path, length: try POSIXFile.size(opened, path)) {
        state = Mutex(State(length: kept.length, hasher: kept.hasher, descriptor: opened))
      } else {
        let hasher = SHA256()
        let length = try FileRange.hash(opened, path, into: hasher)
        state = Mutex(State(length: length, hasher: LockedHasher(hasher), descriptor: opened))
      }
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
  public func close() {
    state.withLock { state in
      guard state.descriptor != nil else { return }
      registry.keep(UploadRegistry.Hashed(path: path, length: state.length, hasher: state.hasher))
      release(&state)
    }
  }

  private func release(_ state: inout State) {
    guard let descriptor = state.descriptor else { return }
    Glibc.close(descriptor)
    state.descriptor = nil
    registry.leave(path)
  }
}

/// Which uploads are open, so that two connections don't write one file; and the hashes of those that wait for their
/// rest, so that ten gibibytes are not read again for each connection that breaks.
final class UploadRegistry: Sendable {
  /// The hash of an upload's first bytes.
  struct Hashed: Sendable {
    let path: String
    let length: Int64
    let hasher: LockedHasher
  }

  private struct State {
    var open: Set<String> = []
    var kept: [Hashed] = []
  }

  /// How many hashes are kept; an upload without one is read again.
  private static let keptLimit = 256

  private let state = Mutex(State())

  func enter(_ path: String) -> Bool { state.withLock { $0.open.insert(path).inserted } }
  func leave(_ path: String) { _ = state.withLock { $0.open.remove(path) } }
  func contains(_ path: String) -> Bool { state.withLock { $0.open.contains(path) } }

  /// Keeps a hash until ``takeHasher(_:length:)`` asks for it. Only whoever has the upload open may call this.
  func keep(_ hashed: Hashed) {
    state.withLock { state in
      state.kept.removeAll { $0.path == hashed.path }
      if state.kept.count >= Self.keptLimit { state.kept.removeFirst() }
      if hashed.length > 0 { state.kept.append(hashed) }
    }
  }

  /// The hash that was kept, if it is of as many bytes as the file has now.
  func takeHasher(_ path: String, length: Int64) -> Hashed? {
    state.withLock { state in
      guard let index = state.kept.firstIndex(where: { $0.path == path }) else { return nil }
      let hashed = state.kept.remove(at: index)
      return hashed.length == length ? hashed : nil
    }
  }
}
