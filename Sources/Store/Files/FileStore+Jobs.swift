import Glibc
public import Marketplace

/// Packages, and all that belongs to one job.
extension FileStore {
  /// Makes a package: `write` gets the descriptor of a new file and writes all of it; then it is put on disk and gets
  /// its name. What `write` throws is thrown here, and nothing remains. Replaces an older package.
  public func writePackage(_ job: JobID, _ write: (Int32) throws -> Void) throws {
    try checkRoom()
    let path = temporaryPath()
    let target = packagePath(job)
    let descriptor = try POSIXFile.open(path, O_RDWR | O_CREAT | O_EXCL)
    defer { close(descriptor) }
    do {
      try write(descriptor)
      try CrashPoint.packageSync.around { () throws(FileStoreError) in try POSIXFile.sync(descriptor, path) }
      try POSIXFile.makeDirectories(POSIXFile.parent(of: target))
      try POSIXFile.move(path, to: target, .packageRename)
    } catch {
      try? POSIXFile.remove(path)
      throw error
    }
  }

  /// A finished package. Throws ``FileStoreError/notFound``.
  public func readPackage(_ job: JobID) throws(FileStoreError) -> StoredFile {
    try StoredFile(path: packagePath(job))
  }

  /// Removes what the job's package holds too: the logs of its last try, and artifacts (those of earlier tries are
  /// nobody's). The logs of earlier tries stay. What is not there is fine, so it can be repeated.
  public func removeLooseCopies(of job: JobID, lastTry: Int) throws(FileStoreError) {
    try FileTree.remove(directory + "/artifacts/" + job.rawValue)
    for stream in LogStream.allCases { try POSIXFile.remove(logPath(job, lastTry, stream)) }
    let logs = directory + "/logs/" + job.rawValue
    guard rmdir(logs) == 0 || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST else {
      throw .last("rmdir", logs)
    }
  }

  /// Jobs that have logs or artifacts in files of their own.
  public func jobsWithLooseFiles() throws(FileStoreError) -> [JobID] {
    let names = try FileTree.names(in: directory + "/artifacts") + FileTree.names(in: directory + "/logs")
    return Set(names).sorted().compactMap { JobID($0) }
  }

  /// How many bytes a log has in its file; 0 when there is none.
  public func logLength(_ job: JobID, tryNumber: Int, stream: LogStream) throws(FileStoreError) -> Int64 {
    FileSize.of(logPath(job, tryNumber, stream))
  }

  /// Removes the job's package, logs, artifacts and partial uploads. What is not there is fine, so it can be repeated.
  public func removeFiles(of job: JobID) throws(FileStoreError) {
    try POSIXFile.remove(packagePath(job))
    try FileTree.remove(directory + "/logs/" + job.rawValue)
    try FileTree.remove(directory + "/artifacts/" + job.rawValue)
    for name in try FileTree.names(in: directory + "/uploads") where name.hasPrefix("artifact.\(job.rawValue).") {
      try POSIXFile.remove(directory + "/uploads/" + name)
    }
  }

  /// Bytes on disk that ``removeFiles(of:)`` would free, without partial uploads.
  public func bytes(of job: JobID) throws(FileStoreError) -> Int64 {
    FileSize.of(packagePath(job)) + (try FileTree.size(of: directory + "/logs/" + job.rawValue))
      + (try FileTree.size(of: directory + "/artifacts/" + job.rawValue))
  }
}
