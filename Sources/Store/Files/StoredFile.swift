import Cryptography
import Glibc

/// A file of the store, open for reading. It stays readable when it is removed meanwhile.
public final class StoredFile: Sendable {
  /// For other readers of whole files. The store may remove the name at any time.
  public let path: String
  /// For calls that take one. It is closed with this object.
  public let descriptor: CInt

  init(path: String) throws(FileStoreError) {
    self.path = path
    descriptor = try POSIXFile.open(path, O_RDONLY)
  }

  deinit { close(descriptor) }

  /// Bytes it has now.
  public func size() throws(FileStoreError) -> Int64 { try POSIXFile.size(descriptor, path) }

  /// Up to `count` bytes from `offset`; fewer at the end, none behind it. Throws ``FileStoreError``.
  public func read(offset: Int64, count: Int) throws(FileStoreError) -> [UInt8] {
    try FileRange.read(descriptor, path, offset: offset, count: count)
  }

  /// Fills `buffer` from `offset`; gives how many bytes there were. Throws ``FileStoreError``.
  public func read(into buffer: UnsafeMutableRawBufferPointer, offset: Int64) throws(FileStoreError) -> Int {
    guard offset >= 0 else { return 0 }
    return try POSIXFile.read(buffer, from: descriptor, at: offset, path)
  }

  /// Brings a stretch into the kernel's cache, so that whoever sends it next does not wait for the disk; here one does.
  /// False where the file ends before.
  public func load(offset: Int64, count: Int) throws(FileStoreError) -> Bool {
    guard offset >= 0, count >= 0, try size() - offset >= Int64(count) else { return false }
    try POSIXFile.load(descriptor, at: offset, count: count, path)
    return true
  }
}

/// Parts of open files.
enum FileRange {
  /// One read gives at most this many bytes, whatever is asked for.
  static let readLimit = 16 << 20
  private static let chunk = 1 << 18

  static func read(
    _ descriptor: Int32, _ path: String, offset: Int64, count: Int
  ) throws(FileStoreError) -> [UInt8] {
    let rest = try POSIXFile.size(descriptor, path) - offset
    guard offset >= 0, count > 0, rest > 0 else { return [] }
    var failure: FileStoreError?
    let bytes = [UInt8](unsafeUninitializedCapacity: min(count, readLimit, Int(clamping: rest))) {
      buffer, initialized in
      do throws(FileStoreError) {
        initialized = try POSIXFile.read(UnsafeMutableRawBufferPointer(buffer), from: descriptor, at: offset, path)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Hashes what a file holds now; gives its length.
  static func hash(_ descriptor: Int32, _ path: String, into hasher: SHA256) throws(FileStoreError) -> Int64 {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunk, alignment: 16)
    defer { buffer.deallocate() }
    let size = try POSIXFile.size(descriptor, path)
    var length: Int64 = 0
    while length < size {
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(Int64(chunk), size - length))])
      let count = try POSIXFile.read(part, from: descriptor, at: length, path)
      guard count > 0 else { break }
      hasher.update(UnsafeRawBufferPointer(rebasing: part[..<count]))
      length += Int64(count)
    }
    return length
  }
}
