import Glibc
import Synchronization

/// The bytes of a download that are here, and the record of which they are.
final class PartFile: Sendable {
  let file: OpenFile
  let path: String
  private let map: Mutex<PartMap>
  private let unsaved = Mutex<Int64>(0)
  private let progress: (@Sendable (Int64, Int64) -> Void)?

  /// The record is written again after so many bytes: what a killed client loses. A 256th of the whole.
  private let saveEvery: Int64
  /// The longest record read, in bytes.
  private static let mapLimit = 8192

  /// Opens the part of an earlier attempt, or begins one. Throws ``ClientError``.
  init(
    _ path: String, mode: mode_t, total: Int64, parts: Int, progress: (@Sendable (Int64, Int64) -> Void)?
  ) throws {
    file = try OpenFile(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: mode)
    self.path = path
    self.progress = progress
    saveEvery = min(max(total / 256, 256 << 10), 8 << 20)
    // Two downloads of one file at once would write over each other.
    guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw ClientError.file(path: path, operation: "another download is writing it", code: errno)
    }
    if let known = Self.readMap(path + ".map", total: total) {
      map = Mutex(known)
    } else {
      var have = try file.regularSize()
      if have > total {
        guard ftruncate(file.descriptor, 0) == 0 else { throw file.failure("ftruncate") }
        have = 0
      }
      map = Mutex(PartMap(total: total, have: have, count: parts))
    }
    try save()
  }

  var have: Int64 { map.withLock(\.have) }
  var total: Int64 { map.withLock(\.total) }
  /// Those that lack bytes.
  var open: [Int] { map.withLock { map in map.parts.indices.filter { map.parts[$0].next != nil } } }
  /// Whether one request without an end suffices.
  var isSingle: Bool { map.withLock(\.isPrefix) }

  /// The next byte that a part lacks, and its end.
  func next(_ index: Int) -> (start: Int64, end: Int64)? {
    map.withLock { map in map.parts[index].next.map { ($0, map.parts[index].range.upperBound) } }
  }

  func write(_ bytes: UnsafeRawBufferPointer, part index: Int, at offset: Int64) throws(ClientError) {
    try file.write(bytes, at: offset)
    let have = map.withLock { map in
      map.advance(index, by: Int64(bytes.count))
      return map.have
    }
    let isDue = unsaved.withLock { unsaved in
      unsaved += Int64(bytes.count)
      guard unsaved >= saveEvery else { return false }
      unsaved = 0
      return true
    }
    if isDue { try save() }
    progress?(have, total)
  }

  /// Forgets all bytes; from now on the whole is the part `index`.
  func restart(_ index: Int = 0) throws(ClientError) {
    guard ftruncate(file.descriptor, 0) == 0 else { throw file.failure("ftruncate") }
    map.withLock { $0 = PartMap(total: $0.total, whole: index) }
    unlink(path + ".map")
  }

  /// Writes down which bytes are here, unless their number says it.
  func save() throws(ClientError) {
    guard !isSingle else {
      unlink(path + ".map")
      return
    }
    let record = try OpenFile(path + ".map", O_WRONLY | O_CREAT | O_NOFOLLOW, mode: 0o600)
    // Taken under the lock that orders the writers, so that an older record never follows a newer one.
    let result: Result<Void, ClientError> = map.withLock { map in
      Array(map.text.utf8).withUnsafeBytes { bytes in
        Result { () throws(ClientError) in
          try record.write(bytes, at: 0)
          guard ftruncate(record.descriptor, off_t(bytes.count)) == 0 else { throw record.failure("ftruncate") }
        }
      }
    }
    try result.get()
  }

  /// Gives the whole its name.
  func finish(as target: String) throws(ClientError) {
    guard fsync(file.descriptor) == 0 else { throw file.failure("fsync") }
    guard rename(path, target) == 0 else { throw .file(path: target, operation: "rename", code: errno) }
    unlink(path + ".map")
  }

  func remove() {
    unlink(path)
    unlink(path + ".map")
  }

  private static func readMap(_ path: String, total: Int64) -> PartMap? {
    guard let file = try? OpenFile(path, O_RDONLY | O_NOFOLLOW), let bytes = try? file.read(at: 0, count: mapLimit)
    else { return nil }
    return PartMap(text: String(decoding: bytes, as: UTF8.self), total: total)
  }
}
