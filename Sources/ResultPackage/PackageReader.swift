import Cryptography

/// A package opened for reading: its archive, root folder and manifest. Opening checks structure and manifest's form;
/// digests and signatures are `PackageVerifier`'s.
public struct PackageReader {
  public let archive: ZipReader
  /// The root folder's name, without the slash.
  public let root: String
  public let manifest: Manifest

  /// The largest manifest read, in bytes: 256 MiB.
  public static let maximumManifestSize = 256 << 20

  /// - Throws: `PackageRefusal`, or what `ZipReader` throws.
  public init(_ archive: ZipReader, shouldContinue: ShouldContinue = { true }) throws {
    self.archive = archive
    root = try Self.root(of: archive)
    guard let entry = archive.entry(named: "\(root)/\(Manifest.fileName)") else { throw PackageRefusal.noManifest }
    let sink = BufferSink(limit: Self.maximumManifestSize)
    try archive.read(entry, to: sink, shouldContinue: shouldContinue)
    manifest = try Manifest(parsing: sink.bytes)
    guard try PackageRoot.name(jobID: manifest.jobID) == root else {
      throw PackageRefusal.wrongRoot(found: root, jobID: manifest.jobID)
    }
  }

  /// The archive's entry of a path in the package.
  public func entry(for path: ArtifactPath) -> ZipEntry? { archive.entry(named: "\(root)/\(path.string)") }

  private static func root(of archive: ZipReader) throws -> String {
    guard let first = archive.entries.first?.name, let slash = first.utf8.firstIndex(of: UInt8(ascii: "/")) else {
      throw PackageRefusal.noRoot
    }
    let root = String(first[..<slash])
    let prefix = root + "/"
    guard archive.entries.allSatisfy({ $0.name.utf8.starts(with: prefix.utf8) }) else { throw PackageRefusal.noRoot }
    return root
  }
}

/// Why an archive is no result package.
public enum PackageRefusal: Error, Equatable, Sendable, CustomStringConvertible {
  /// Not everything lies in one folder.
  case noRoot
  case noManifest
  /// The folder is not the one of the manifest's job.
  case wrongRoot(found: String, jobID: String)

  public var description: String {
    switch self {
    case .noRoot: "the files do not lie in one folder"
    case .noManifest: "there is no \(Manifest.fileName)"
    case .wrongRoot(let found, let jobID): "the folder is \(found), the manifest is of job \(jobID)"
    }
  }
}
