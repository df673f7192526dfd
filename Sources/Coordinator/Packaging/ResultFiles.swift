import Marketplace
import NIOPosix
import ResultPackage
import Store

/// Reads logs and artifacts wherever they lie: each in a file of its own until the job's package stands, inside the
/// package from then on. Who reads while they move sees the same bytes.
final class ResultFiles: Sendable {
  private let store: any MarketStore
  private let files: FileStore
  private let packaged: PackagedFiles
  private let blocking: NIOThreadPool

  init(store: any MarketStore, files: FileStore, blocking: NIOThreadPool) {
    self.store = store
    self.files = files
    self.blocking = blocking
    packaged = PackagedFiles(files: files)
  }

  // MARK: Logs

  /// How many bytes of a log can be read; 0 when it was never begun, or is gone.
  func logLength(_ job: JobID, tryNumber: Int, stream: LogStream) async throws -> Int64 {
    do {
      return try await blocking.runIfActive { [files] in
        try files.readLog(job, tryNumber: tryNumber, stream: stream).size()
      }
    } catch FileStoreError.notFound {
      guard try await isPackaged(job, tryNumber) else { return 0 }
      return try await blocking.runIfActive { [packaged] in
        try packaged.entry(job, stream.packagePath).map { Int64($0.size) } ?? 0
      }
    }
  }

  /// Up to `count` bytes of a log; fewer at its end.
  func readLog(_ job: JobID, tryNumber: Int, stream: LogStream, offset: Int64, count: Int) async throws -> [UInt8] {
    do {
      return try await blocking.runIfActive { [files] in
        try files.readLog(job, tryNumber: tryNumber, stream: stream).read(offset: offset, count: count)
      }
    } catch FileStoreError.notFound {
      guard try await isPackaged(job, tryNumber) else { return [] }
      return try await blocking.runIfActive { [packaged] in
        try packaged.read(job, stream.packagePath, offset: offset, count: count) ?? []
      }
    }
  }

  /// A package has the logs of the last try only; those of earlier tries stay files.
  private func isPackaged(_ job: JobID, _ tryNumber: Int) async throws -> Bool {
    try await store.read { store in
      guard try store.job(job)?.lastTry == tryNumber else { return false }
      return try store.package(of: job) != nil
    }
  }

  // MARK: Artifacts

  /// An artifact's bytes, for any number of readings. Throws ``FileStoreError/notFound``.
  func artifact(_ record: ArtifactRecord) async throws -> FileContent {
    do {
      return try await blocking.runIfActive { [files] in try Self.looseArtifact(record, files) }
    } catch FileStoreError.notFound {
      return try await blocking.runIfActive { [files] in
        try Self.content(of: PackageLayout.artifact(record.path), in: record.job, files)
      }
    }
  }

  private static func looseArtifact(_ record: ArtifactRecord, _ files: FileStore) throws -> FileContent {
    let digest = try ResultRoutes.digest(record.sha256)
    return .file(try files.readArtifact(record.job, tryNumber: record.tryNumber, digest: digest), offset: 0)
  }

  private static func content(of path: String, in job: JobID, _ files: FileStore) throws -> FileContent {
    let file = try files.readPackage(job)
    let source = try StoredSource(file)
    guard let entry = try ZipLookup(source).entry(named: "\(PackageRoot.name(jobID: job.rawValue))/\(path)") else {
      throw FileStoreError.notFound
    }
    if entry.method == .stored { return .file(file, offset: Int64(entry.dataOffset)) }
    return .packed(PackedContent(entry, source))
  }

  /// `manifest.json` of a job whose package stands.
  func manifest(_ job: JobID) async throws -> [UInt8] {
    try await blocking.runIfActive { [packaged] in
      guard let bytes = try packaged.read(job, Manifest.fileName, offset: 0, count: PackageReader.maximumManifestSize)
      else { throw FileStoreError.notFound }
      return bytes
    }
  }
}

extension LogStream {
  /// Where its log stands in a package.
  var packagePath: String { self == .stdout ? PackageLayout.stdout : PackageLayout.stderr }
}
