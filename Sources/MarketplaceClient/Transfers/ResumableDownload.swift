import Clocks
public import Cryptography
import Glibc
import Logging
import Marketplace

/// Fetches one file so that a broken connection, or a killed client, costs nothing that had arrived: into
/// `NAME.DIGEST.part`, continued with `Range` and `If-Range`, checked against its SHA-256, then renamed. The name
/// stands for complete and right bytes or does not stand.
///
/// A large file is fetched in several parts at once, each over a connection of its own.
public struct ResumableDownload: Sendable {
  /// From this size on a file is fetched in parts: 32 MiB.
  public static let partsFrom: Int64 = 32 << 20
  /// Parts at once by default.
  public static let defaultParts = 4

  let transport: HTTPTransport
  let path: APIPath
  let headers: [(name: String, value: String)]

  /// `headers` are sent with each request, a lease token for example.
  public init(_ transport: HTTPTransport, from path: APIPath, headers: [(name: String, value: String)] = []) {
    self.transport = transport
    self.path = path
    self.headers = headers
  }

  /// Fetches into `target`, replacing a file of that name at the end.
  ///
  /// - Parameters:
  ///   - expected: the digest the bytes must have. Nil: the one the coordinator names in `Repr-Digest`.
  ///   - mode: of the new file, under the umask.
  ///   - parts: how many parts of a large file are fetched at once, 1 to 64.
  ///   - progress: told how many bytes are here and how many there are.
  /// - Throws: ``ClientError``: `.integrity` when the bytes are not those of the digest (nothing is left then), what the
  ///   coordinator answered, `.file`, or the network's failure after eight in a row without headway (the part stays);
  ///   `CancellationError`.
  @discardableResult
  public func fetch(
    to target: String, expecting expected: SHA256Digest? = nil, mode: UInt32 = 0o666, parts: Int = defaultParts,
    progress: (@Sendable (Int64, Int64) -> Void)? = nil
  ) async throws -> FileDigest {
    let source = try await describe(expecting: expected)
    let file = try PartFile(
      target + "." + source.digest.hex.prefix(16) + ".part", mode: mode_t(mode), total: source.total,
      parts: source.total >= Self.partsFrom ? parts : 1, progress: progress)
    let hadSome = file.have > 0
    var digest = try await fill(file, from: source)
    if digest.sha256 != source.digest, hadSome {
      // What an earlier attempt left may be damaged; the rest is not to blame.
      try file.restart()
      digest = try await fill(file, from: source)
    }
    guard digest.sha256 == source.digest else {
      file.remove()
      throw ClientError.integrity(
        "\(target): the bytes that arrived have SHA-256 \(digest.sha256.hex), not \(source.digest.hex); nothing was kept"
      )
    }
    progress?(source.total, source.total)
    try file.finish(as: target)
    return digest
  }

  private func fill(_ file: PartFile, from source: Source) async throws -> FileDigest {
    let fetcher = PartFetcher(download: self, file: file, tag: source.tag)
    do {
      try await fetcher.run()
    } catch is PartsRefused {
      try file.restart()
      try await fetcher.run()
    }
    return try FileDigest.of(file.file)
  }

  private struct Source {
    let total: Int64
    let tag: String?
    let digest: SHA256Digest
  }

  /// Asks for size, tag and digest before a byte is fetched.
  private func describe(expecting expected: SHA256Digest?) async throws -> Source {
    let answer = try await transport.call(APIRequest(.head, path, headers: headers), accepting: Set(400..<500))
    if answer.status >= 400 {
      // The answer to HEAD has no body; GET tells why.
      let reason = try await transport.open(APIRequest(.get, path, headers: headers))
      throw await transport.error(of: reason)
    }
    let named = DigestHeaders.sha256(answer.headers)
    if let expected, let named, expected != named {
      throw ClientError.integrity("the coordinator offers SHA-256 \(named.hex), expected \(expected.hex)")
    }
    guard let digest = expected ?? named else {
      throw ClientError.unexpected("the coordinator names no digest for \(path)")
    }
    guard let total = answer.headers.integer("Content-Length") else {
      throw ClientError.unexpected("the coordinator names no size for \(path)")
    }
    return Source(total: total, tag: answer.headers["ETag"], digest: digest)
  }
}
