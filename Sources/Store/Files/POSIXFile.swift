import Glibc

/// The few file calls the store needs, with errors instead of return codes.
enum POSIXFile {
  /// Makes a directory and those above it. Those that are there are left as they are.
  static func makeDirectories(_ path: String) throws(FileStoreError) {
    var made = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      made += part + "/"
      guard mkdir(made, 0o700) != 0 else {
        FileTrace.note(.makeFolder(String(made.dropLast())))
        try syncDirectory(parent(of: String(made.dropLast())))
        continue
      }
      // Looking whether it is there changes `errno`.
      let code = errno
      guard code == EEXIST || isDirectory(made) else { throw FileStoreError(code: code, "mkdir", made) }
    }
    guard isDirectory(path) else { throw .failed("mkdir \(path): there is a file of that name") }
  }

  static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  static func open(_ path: String, _ flags: Int32) throws(FileStoreError) -> Int32 {
    let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .last("open", path) }
    if flags & O_CREAT != 0 { FileTrace.note(.create(path)) }
    return descriptor
  }

  static func size(_ descriptor: Int32, _ path: String) throws(FileStoreError) -> Int64 {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .last("fstat", path) }
    return Int64(status.st_size)
  }

  /// Writes all of it at `offset`.
  static func write(
    _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at offset: Int64, _ path: String
  ) throws(FileStoreError) {
    FileTrace.note(.write(path))
    var done = 0
    while done < bytes.count {
      let count = pwrite(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done, off_t(offset) + done)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw .last("pwrite", path) }
      done += count
    }
  }

  /// Reads until the buffer is full or the file ends; gives how many bytes.
  static func read(
    _ buffer: UnsafeMutableRawBufferPointer, from descriptor: Int32, at offset: Int64, _ path: String
  ) throws(FileStoreError) -> Int {
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done, off_t(offset) + done)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw .last("pread", path) }
      if count == 0 { break }
      done += count
    }
    return done
  }

  /// Brings a stretch into the kernel's cache.
  static func load(_ descriptor: Int32, at offset: Int64, count: Int, _ path: String) throws(FileStoreError) {
    let page = Int64(sysconf(Int32(_SC_PAGESIZE)))
    let start = offset - offset % page
    let length = Int(offset - start) + count
    // MADV_POPULATE_READ, since Linux 5.14. Files that can't be mapped, and older kernels, get the hint alone.
    if length > 0, let mapped = mmap(nil, length, PROT_READ, MAP_SHARED, descriptor, off_t(start)), mapped != MAP_FAILED
    {
      defer { munmap(mapped, length) }
      if madvise(mapped, length, 22) == 0 { return }
      guard errno == EINVAL || errno == ENOMEM else { throw .last("madvise", path) }
    }
    posix_fadvise(descriptor, off_t(offset), off_t(count), POSIX_FADV_WILLNEED)
  }

  static func truncate(_ descriptor: Int32, to length: Int64, _ path: String) throws(FileStoreError) {
    guard ftruncate(descriptor, off_t(length)) == 0 else { throw .last("ftruncate", path) }
    FileTrace.note(.truncate(path))
  }

  static func sync(_ descriptor: Int32, _ path: String) throws(FileStoreError) {
    guard fsync(descriptor) == 0 else { throw .last("fsync", path) }
    FileTrace.note(.sync(path))
  }

  /// A new name is durable only when its directory is.
  static func syncDirectory(_ path: String) throws(FileStoreError) {
    let descriptor = try open(path, O_RDONLY | O_DIRECTORY)
    defer { close(descriptor) }
    try CrashPoint.folderSync.around { () throws(FileStoreError) in try sync(descriptor, path) }
  }

  /// Puts a whole, synced file in its place: afterwards the name stands for all of it, after a power cut too.
  static func move(_ path: String, to target: String, _ point: CrashPoint) throws(FileStoreError) {
    try point.around { () throws(FileStoreError) in
      guard rename(path, target) == 0 else { throw .last("rename", target) }
    }
    FileTrace.note(.rename(from: path, to: target))
    try syncDirectory(parent(of: target))
  }

  /// Removes a file; one that is not there is fine.
  static func remove(_ path: String) throws(FileStoreError) {
    guard unlink(path) == 0 else {
      if errno == ENOENT { return }
      throw .last("unlink", path)
    }
    FileTrace.note(.remove(path))
  }
}

enum FileSize {
  /// Bytes; 0 when there is no such file.
  static func of(_ path: String) -> Int64 {
    var status = stat()
    return stat(path, &status) == 0 ? Int64(status.st_size) : 0
  }
}
