import Cryptography
import Glibc
public import Marketplace

/// Everything of the market that is a file: blobs, logs, artifacts, packages, partial uploads.
///
/// ```
/// blobs/ab/<sha256>            logs/<job>/<try>.stdout        artifacts/<job>/<try>/<sha256>
/// packages/<job>.zip below ab/ uploads/…                      tmp/
/// ```
///
/// Names on disk are identifiers, numbers and digests that we made; a path that a client chose stands only in the
/// database. All calls block on the disk: keep them off event loops and off the cooperative pool. A ``FileStore`` may
/// be used from many threads.
public struct FileStore: Sendable {
  /// The data directory.
  public let directory: String
  let uploads: UploadRegistry
  /// Nil: the disk is used to its end.
  public let reserve: DiskReserve?

  private static let folders = ["blobs", "logs", "artifacts", "uploads", "packages", "tmp"]

  /// Makes the folders and removes what a former process left half written in `tmp`. Throws ``FileStoreError``.
  public init(directory: String, reserve: DiskReserve? = nil) throws(FileStoreError) {
    self.directory = directory
    self.reserve = reserve
    uploads = UploadRegistry()
    for folder in Self.folders { try POSIXFile.makeDirectories(directory + "/" + folder) }
    try FileTree.removeContents(of: directory + "/tmp")
  }

  /// Bytes that a process without privileges can still write. Throws ``FileStoreError``.
  public func freeBytes() throws(FileStoreError) -> Int64 { try FreeSpace.bytes(in: directory) }

  /// Throws ``FileStoreError/diskFull`` while what is free is kept for the end of what runs.
  func checkRoom() throws(FileStoreError) {
    if reserve?.isSpent == true { throw .diskFull }
  }

  /// Throws ``FileStoreError/diskFull`` while an upload could not grow.
  public func requireWritable() throws(FileStoreError) {
    try checkRoom()
    guard try freeBytes() >= Self.leastRoom else { throw .diskFull }
  }

  /// With less than this many bytes free a disk counts as full.
  private static let leastRoom: Int64 = 1 << 20

  /// A path for a file in the making; gone at the next start. Move it into place when it is whole and synced.
  public func temporaryPath() -> String { directory + "/tmp/" + Hex.encode(SecureRandom.bytes(16)) }

  // MARK: Names

  func blobPath(_ digest: SHA256Digest) -> String {
    let hex = digest.hex
    return directory + "/blobs/" + hex.prefix(2) + "/" + hex
  }

  func logPath(_ job: JobID, _ tryNumber: Int, _ stream: LogStream) -> String {
    directory + "/logs/" + job.rawValue + "/" + String(tryNumber) + "." + stream.rawValue
  }

  /// The folder of a try's artifacts; each has its SHA-256 in hex as its name.
  public func artifactFolder(_ job: JobID, tryNumber: Int) -> String {
    directory + "/artifacts/" + job.rawValue + "/" + String(tryNumber)
  }

  func artifactPath(_ job: JobID, _ tryNumber: Int, _ digest: SHA256Digest) -> String {
    artifactFolder(job, tryNumber: tryNumber) + "/" + digest.hex
  }

  /// Two of the identifier's random characters spread packages over 1,024 folders.
  func packagePath(_ job: JobID) -> String {
    directory + "/packages/" + job.rawValue.suffix(2) + "/" + job.rawValue + ".zip"
  }
}
