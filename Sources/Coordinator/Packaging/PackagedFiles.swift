import Marketplace
import ResultPackage
import Store
import Synchronization

/// Reads single files inside packages.
///
/// Somebody who reads a deflated file piece by piece gets on from where the piece before ended: the last cursors are
/// kept. They hold no descriptor, so a package that is purged frees its room at once. All calls block on the disk.
final class PackagedFiles: Sendable {
  private struct Key: Hashable {
    let job: JobID
    let path: String
  }

  /// A cursor that nobody uses now.
  ///
  /// `@unchecked Sendable`: whoever takes it out of the list has it alone.
  private struct Idle: @unchecked Sendable {
    let key: Key
    let cursor: ZipEntryCursor
  }

  /// Cursors kept; each has some 110 KiB when its file is deflated.
  static let idleLimit = 32

  private let files: FileStore
  private let idle = Mutex<[Idle]>([])

  init(files: FileStore) { self.files = files }

  /// What a package says of one of its files; `path` is relative to its folder. Nil when it has no such file. Throws
  /// ``FileStoreError/notFound`` without a package.
  func entry(_ job: JobID, _ path: String) throws -> ZipEntry? {
    let source = try StoredSource(files.readPackage(job))
    return try entry(job, path, source)
  }

  private func entry(_ job: JobID, _ path: String, _ source: StoredSource) throws -> ZipEntry? {
    try ZipLookup(source).entry(named: "\(PackageRoot.name(jobID: job.rawValue))/\(path)")
  }

  /// Up to `count` bytes; fewer at the end. Nil when the package has no such file.
  func read(_ job: JobID, _ path: String, offset: Int64, count: Int) throws -> [UInt8]? {
    let key = Key(job: job, path: path)
    let source = try StoredSource(files.readPackage(job))
    let cursor: ZipEntryCursor
    if let kept = take(key, for: UInt64(offset)) {
      cursor = kept
    } else {
      guard let entry = try entry(job, path, source) else { return nil }
      cursor = ZipEntryCursor(entry)
    }
    let bytes = try cursor.read(from: source, at: UInt64(offset), count: count)
    keep(Idle(key: key, cursor: cursor))
    return bytes
  }

  /// The best cursor for a place: the nearest one before it.
  private func take(_ key: Key, for offset: UInt64) -> ZipEntryCursor? {
    idle.withLock { idle in
      var best: Int?
      for index in idle.indices where idle[index].key == key && idle[index].cursor.position <= offset {
        if best.map({ idle[$0].cursor.position < idle[index].cursor.position }) ?? true { best = index }
      }
      return best.map { idle.remove(at: $0).cursor }
    }
  }

  private func keep(_ entry: Idle) {
    idle.withLock { idle in
      if idle.count >= Self.idleLimit { idle.removeFirst() }
      idle.append(entry)
    }
  }
}
