import Glibc
import Synchronization

/// Disk space kept back in a file, so that a full disk refuses new data and not the end of what is there.
///
/// When a commit finds no room the file is given up (``spend()``), and cancels, leases and reports go on. From then on,
/// until there is room again (``refill()``), uploads and packages are refused as if the disk were still full, and logs
/// too once half of the reserve is gone: else they would eat what was freed. Calls block on the disk.
public final class DiskReserve: Sendable {
  private let path: String
  private let directory: String
  /// Bytes kept back; 0 keeps none.
  public let bytes: Int64
  private let isHeld = Mutex(false)

  /// The file `reserve` in `directory`. Nothing is kept back before ``refill()`` or ``open()``.
  public init(directory: String, bytes: Int64) {
    self.directory = directory
    path = directory + "/reserve"
    self.bytes = max(0, bytes)
  }

  /// It was given up, or could not be made: only what ends work may be written now.
  public var isSpent: Bool { bytes > 0 && !isHeld.withLock { $0 } }

  /// A log may grow: it has half of the reserve for the last words of what runs.
  var hasRoomForLogs: Bool { !isSpent || ((try? FreeSpace.bytes(in: directory)) ?? 0) > bytes / 2 }

  /// Keeps the space back, for a process that has just started; a former one may have left the file. Without room for
  /// it the reserve begins spent.
  public func open() {
    isHeld.withLock { isHeld in
      if bytes > 0 { isHeld = allocate() } else { unlink(path) }
    }
  }

  /// Gives the space up. False when there was none to give.
  public func spend() -> Bool {
    isHeld.withLock { isHeld in
      guard isHeld else { return false }
      // Whoever asks from now on is refused, also before the space is there.
      isHeld = false
      return unlink(path) == 0
    }
  }

  /// Keeps the space back again once twice as much is free. True when it did.
  public func refill() -> Bool {
    isHeld.withLock { isHeld in
      guard bytes > 0, !isHeld, let free = try? FreeSpace.bytes(in: directory), free / 2 >= bytes else { return false }
      isHeld = allocate()
      return isHeld
    }
  }

  private func allocate() -> Bool {
    guard let descriptor = try? POSIXFile.open(path, O_WRONLY | O_CREAT) else { return false }
    defer { close(descriptor) }
    // Its blocks are taken, not only promised: a sparse file keeps nothing back.
    guard ftruncate(descriptor, off_t(bytes)) == 0, posix_fallocate(descriptor, 0, off_t(bytes)) == 0 else {
      unlink(path)
      return false
    }
    return true
  }
}

enum FreeSpace {
  /// Bytes that a process without privileges can still write.
  static func bytes(in directory: String) throws(FileStoreError) -> Int64 {
    var status = statvfs()
    guard statvfs(directory, &status) == 0 else { throw .last("statvfs", directory) }
    let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    return overflow ? .max : Int64(clamping: bytes)
  }
}
