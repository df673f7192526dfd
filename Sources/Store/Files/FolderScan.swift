import Cryptography
import Glibc
public import Marketplace
import Synchronization

/// The names in some folders, a few at a time, so that a folder of a million names is never in memory.
public final class FolderScan: Sendable {
  private struct State {
    var waiting: [String]
    var open: OpaquePointer?
    /// What `open` is.
    var path = ""
  }

  private let state: Mutex<State>

  /// Visits the folders in their order; those that are not there are empty.
  init(_ folders: [String]) { state = Mutex(State(waiting: folders.reversed())) }

  deinit {
    state.withLock { state in
      if let open = state.open { closedir(open) }
    }
  }

  /// Up to `limit` names more; none at the end. Throws ``FileStoreError``.
  public func next(limit: Int) throws(FileStoreError) -> [String] {
    let result: Result<[String], FileStoreError> = state.withLock { state in
      Result { () throws(FileStoreError) in try Self.next(limit, &state) }
    }
    return try result.get()
  }

  private static func next(_ limit: Int, _ state: inout State) throws(FileStoreError) -> [String] {
    var names: [String] = []
    while names.count < limit {
      guard let open = state.open else {
        guard let path = state.waiting.popLast() else { break }
        state.open = opendir(path)
        state.path = path
        guard state.open != nil || errno == ENOENT else { throw .last("opendir", path) }
        continue
      }
      guard let name = FileTree.nextName(open) else {
        closedir(open)
        state.open = nil
        continue
      }
      names.append(name)
    }
    return names
  }
}

extension FileStore {
  /// Names of everything that belongs to jobs; ``job(ofName:)`` tells which.
  public func jobNames() throws(FileStoreError) -> FolderScan {
    let packages = directory + "/packages"
    var folders = [directory + "/logs", directory + "/artifacts"]
    // At most 1,024, see `packagePath`.
    for name in try FileTree.names(in: packages) { folders.append(packages + "/" + name) }
    return FolderScan(folders)
  }

  /// The job that a name belongs to; nil for a name that is not ours.
  public static func job(ofName name: String) -> JobID? {
    JobID(name.hasSuffix(".zip") ? String(name.dropLast(4)) : name)
  }

  /// Names of all blobs: their digests.
  public func blobNames() throws(FileStoreError) -> FolderScan {
    let blobs = directory + "/blobs"
    return FolderScan(try FileTree.names(in: blobs).map { blobs + "/" + $0 })
  }
}
