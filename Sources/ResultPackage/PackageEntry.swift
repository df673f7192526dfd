public import Cryptography

/// One file to pack.
public struct PackageEntry: Sendable {
  /// Where the bytes come from.
  public enum Source: Sendable {
    case bytes([UInt8])
    /// A part of a regular file. The file may grow meanwhile (a log), but must not change in that part.
    case file(path: String, offset: UInt64, length: UInt64)
    /// All of the file in `folder` whose name is its SHA-256 in hex. Of a hundred thousand entries, none has a path of
    /// its own to keep.
    case named(digest: SHA256Digest, folder: String, length: UInt64)
    /// Bytes that are made when they are wanted. Each call of `make` begins anew and gives, piece by piece, the same
    /// `length` bytes.
    case pieces(length: UInt64, make: @Sendable () -> () -> [UInt8]?)

    /// In bytes.
    public var size: UInt64 {
      switch self {
      case .bytes(let bytes): UInt64(bytes.count)
      case .file(_, _, let length), .named(_, _, let length), .pieces(let length, _): length
      }
    }
  }

  /// Relative to the package's root folder.
  public let path: ArtifactPath
  public let source: Source
  /// The digest taken when the bytes arrived. Packing checks it, and need not read twice what sorts after the
  /// manifest.
  public let knownDigest: SHA256Digest?

  public init(path: ArtifactPath, source: Source, knownDigest: SHA256Digest? = nil) {
    self.path = path
    self.source = source
    if case .named(let digest, _, _) = source {
      self.knownDigest = digest
    } else {
      self.knownDigest = knownDigest
    }
  }

  /// Opens the source, for one reading.
  func open() throws -> (UnsafeMutableRawBufferPointer) throws -> Int {
    switch source {
    case .bytes(let bytes): return Self.reading(BytesSource(bytes), from: 0, to: UInt64(bytes.count))
    case .file(let path, let offset, let length): return try open(path, offset, length)
    case .named(let digest, let folder, let length): return try open(folder + "/" + digest.hex, 0, length)
    case .pieces(_, let make):
      var reader = PieceReader(make())
      return { reader.read(into: $0) }
    }
  }

  private func open(
    _ path: String, _ offset: UInt64, _ length: UInt64
  ) throws -> (UnsafeMutableRawBufferPointer) throws -> Int {
    let source = try FileSource(path: path)
    let (end, overflow) = offset.addingReportingOverflow(length)
    guard !overflow, end <= source.size else { throw PackageBuildError.sourceTooShort(path: self.path.string) }
    return Self.reading(source, from: offset, to: end)
  }

  private static func reading(
    _ source: any RandomAccessSource, from start: UInt64, to end: UInt64
  ) -> (UnsafeMutableRawBufferPointer) throws -> Int {
    var position = start
    return { buffer in
      let count = Int(min(end - position, UInt64(buffer.count)))
      try source.read(at: position, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
      position += UInt64(count)
      return count
    }
  }

  /// Reads all of it for its digest alone.
  func digest(_ shouldContinue: ShouldContinue) throws -> SHA256Digest {
    if case .bytes(let bytes) = source { return SHA256.hash(bytes) }
    let read = try open()
    let hasher = SHA256()
    var buffer = [UInt8](repeating: 0, count: ZipFormat.chunkSize)
    var count = 0
    repeat {
      guard shouldContinue() else { throw OperationCanceled() }
      count = try buffer.withUnsafeMutableBytes { bytes in
        let count = try read(bytes)
        hasher.update(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        return count
      }
    } while count > 0
    return hasher.finalize()
  }
}

/// Why a package cannot be built.
public enum PackageBuildError: Error, Equatable, Sendable, CustomStringConvertible {
  /// `manifest.json` in the root folder is the builder's own.
  case reservedPath(String)
  case nameClash(NameClash)
  /// The file is shorter than the part of it that was asked for.
  case sourceTooShort(path: String)
  /// The bytes have not the digest that was recorded when they arrived.
  case digestDiffers(path: String, known: SHA256Digest, actual: SHA256Digest)
  /// The miner's signature does not cover the logs and artifacts to pack.
  case badMinerSignature

  public var description: String {
    switch self {
    case .reservedPath(let path): "\(path) is the package's own file"
    case .nameClash(let clash): "\(clash)"
    case .sourceTooShort(let path): "\(path): its file is shorter than announced"
    case .digestDiffers(let path, let known, let actual):
      "\(path): its bytes have the SHA-256 \(actual), but \(known) when they arrived"
    case .badMinerSignature: "the miner's signature does not cover these logs and artifacts"
    }
  }
}
