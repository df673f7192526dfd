public import Cryptography
import Glibc
public import Marketplace

/// Blobs and artifacts: files that come from outside and whose digest is known beforehand.
extension FileStore {
  /// Goes on with an account's upload of a blob, or begins it. Throws ``FileStoreError/busy`` while another connection
  /// writes it. Uploads of different accounts don't meet: nobody can spoil or guess at another's.
  public func openBlobUpload(_ digest: SHA256Digest, account: AccountID) throws(FileStoreError) -> UploadFile {
    try openUpload(blobUpload(digest, account), target: blobPath(digest))
  }

  /// How much of such an upload is here. Throws ``FileStoreError/busy`` while another connection writes it.
  public func blobUploadLength(_ digest: SHA256Digest, account: AccountID) throws(FileStoreError) -> Int64 {
    try uploadLength(blobUpload(digest, account))
  }

  private func blobUpload(_ digest: SHA256Digest, _ account: AccountID) -> String {
    "blob." + account.rawValue + "." + digest.hex
  }

  /// A whole blob. Throws ``FileStoreError/notFound``.
  public func readBlob(_ digest: SHA256Digest) throws(FileStoreError) -> StoredFile {
    try StoredFile(path: blobPath(digest))
  }

  public func removeBlob(_ digest: SHA256Digest) throws(FileStoreError) { try POSIXFile.remove(blobPath(digest)) }

  /// Goes on with a try's upload of an artifact, or begins it. `path` is the artifact's name for its owner; it tells
  /// uploads apart and never becomes a file's name.
  public func openArtifactUpload(
    _ job: JobID, tryNumber: Int, path: String, digest: SHA256Digest
  ) throws(FileStoreError) -> UploadFile {
    try openUpload(artifactUpload(job, tryNumber, path, digest), target: artifactPath(job, tryNumber, digest))
  }

  /// How much of such an upload is here. Throws ``FileStoreError/busy`` while another connection writes it.
  public func artifactUploadLength(
    _ job: JobID, tryNumber: Int, path: String, digest: SHA256Digest
  ) throws(FileStoreError) -> Int64 {
    try uploadLength(artifactUpload(job, tryNumber, path, digest))
  }

  private func artifactUpload(_ job: JobID, _ tryNumber: Int, _ path: String, _ digest: SHA256Digest) -> String {
    "artifact.\(job.rawValue).\(tryNumber).\(SHA256.hash(path.utf8).hex).\(digest.hex)"
  }

  /// A whole artifact. Throws ``FileStoreError/notFound``.
  public func readArtifact(
    _ job: JobID, tryNumber: Int, digest: SHA256Digest
  ) throws(FileStoreError) -> StoredFile {
    try StoredFile(path: artifactPath(job, tryNumber, digest))
  }

  private func openUpload(_ name: String, target: String) throws(FileStoreError) -> UploadFile {
    // Names are up to 255 bytes; the parts are at most this long: 8 + 30 + 20 + 64 + 64.
    try UploadFile(path: directory + "/uploads/" + name, target: target, registry: uploads, reserve: reserve)
  }

  /// Looks at the file alone: to open it would mean to read all of it after a restart.
  private func uploadLength(_ name: String) throws(FileStoreError) -> Int64 {
    let path = directory + "/uploads/" + name
    guard !uploads.contains(path) else { throw .busy }
    return FileSize.of(path)
  }

  /// Removes partial uploads that nobody has written to since `time` and nobody has open. Returns how many.
  public func removeUploads(idleSince time: Timestamp) throws(FileStoreError) -> Int {
    var removed = 0
    for name in try FileTree.names(in: directory + "/uploads") {
      let path = directory + "/uploads/" + name
      var status = stat()
      guard stat(path, &status) == 0 else { continue }
      let written = Int64(status.st_mtim.tv_sec) * 1000 + Int64(status.st_mtim.tv_nsec) / 1_000_000
      // Entering it keeps an upload from starting between the look and the removal.
      guard written < time.milliseconds, uploads.enter(path) else { continue }
      defer { uploads.leave(path) }
      try POSIXFile.remove(path)
      removed += 1
    }
    return removed
  }
}
