import Clocks
public import Cryptography
import Glibc
import Logging
import Marketplace
import NIOCore

/// Fetches one file so that a broken connection, or a killed client, costs nothing that had arrived: into
/// `NAME.DIGEST.part`, continued with `Range` and `If-Range`, checked against its SHA-256, then renamed. The name
/// stands for complete and right bytes or does not stand.
public struct ResumableDownload: Sendable {
  private let transport: HTTPTransport
  private let path: APIPath
  private let headers: [(name: String, value: String)]

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
  ///   - progress: told how many bytes are here and how many there are.
  /// - Throws: ``ClientError``: `.integrity` when the bytes are not those of the digest (nothing is left then), what the
  ///   coordinator answered, `.file`, or the network's failure after eight in a row without headway (the part stays);
  ///   `CancellationError`.
  @discardableResult
  public func fetch(
    to target: String, expecting expected: SHA256Digest? = nil, mode: UInt32 = 0o666,
    progress: (@Sendable (Int64, Int64) -> Void)? = nil
  ) async throws -> FileDigest {
    let source = try await describe(expecting: expected)
    let part = target + "." + source.digest.hex.prefix(16) + ".part"
    let file = try OpenFile(part, O_RDWR | O_CREAT | O_NOFOLLOW, mode: mode_t(mode))
    // Two downloads of one file at once would write over each other.
    guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw ClientError.file(path: part, operation: "another download is writing it", code: errno)
    }
    try await fill(file, from: source, progress)
    let digest = try FileDigest.of(file)
    guard digest.sha256 == source.digest else {
      unlink(part)
      throw ClientError.integrity(
        "\(target): the bytes that arrived have SHA-256 \(digest.sha256.hex), not \(source.digest.hex); nothing was kept"
      )
    }
    guard fsync(file.descriptor) == 0 else { throw file.failure("fsync") }
    guard rename(part, target) == 0 else { throw ClientError.file(path: target, operation: "rename", code: errno) }
    return digest
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

  private func fill(_ file: OpenFile, from source: Source, _ progress: (@Sendable (Int64, Int64) -> Void)?) async throws
  {
    let plan = DownloadPlan(total: source.total)
    var have = try file.regularSize()
    if have > source.total { have = try empty(file) }
    var stalls = 0
    while have < source.total {
      try Task.checkCancellation()
      let before = have
      do {
        have = try await receive(file, plan, source, have: have, progress)
        if have < source.total {
          throw ClientError.unreachable(
            url: transport.configuration.url.description, reason: "the download ended early")
        }
      } catch {
        let error = try transport.failure(error)
        have = try file.regularSize()
        stalls = have > before ? 0 : stalls + 1
        guard RetryPolicy.isTransient(error), stalls < DownloadPlan.maximumStalls else { throw error }
        transport.logger.debug("download stopped at byte \(have) of \(source.total): \(error)")
        var generator = SecureRandom()
        try await transport.clock.sleep(for: Backoff.reconnect.delay(attempt: stalls, using: &generator))
      }
    }
    progress?(have, source.total)
  }

  /// One request. Returns how many bytes are here afterwards.
  private func receive(
    _ file: OpenFile, _ plan: DownloadPlan, _ source: Source, have: Int64,
    _ progress: (@Sendable (Int64, Int64) -> Void)?
  ) async throws -> Int64 {
    var fields = headers
    if have > 0 {
      fields.append(("Range", "bytes=\(have)-"))
      if let tag = source.tag { fields.append(("If-Range", tag)) }
    }
    let answer = try await transport.open(APIRequest(.get, path, headers: fields))
    let head = APIAnswer(status: answer.status, headers: answer.headers, body: [])
    switch plan.answered(head, have: have) {
    case .fail(let error):
      throw answer.status >= 400 ? await transport.error(of: answer) : error
    case .restart:
      // Counts as a failure without headway, so a server that never agrees ends the loop.
      _ = try empty(file)
      throw ClientError.unreachable(url: transport.configuration.url.description, reason: "the range was refused")
    case .write(let start):
      if start == 0, have > 0 { _ = try empty(file) }
      return try await copy(answer, to: file, at: start, total: source.total, progress)
    }
  }

  private func copy(
    _ answer: StreamedAnswer, to file: OpenFile, at start: Int64, total: Int64,
    _ progress: (@Sendable (Int64, Int64) -> Void)?
  ) async throws -> Int64 {
    var offset = start
    for try await buffer in answer.body {
      guard offset + Int64(buffer.readableBytes) <= total else {
        throw ClientError.unexpected("the coordinator sent more than the \(total) bytes it promised")
      }
      try buffer.withUnsafeReadableBytes { bytes throws(ClientError) in try file.write(bytes, at: offset) }
      offset += Int64(buffer.readableBytes)
      progress?(offset, total)
    }
    return offset
  }

  private func empty(_ file: OpenFile) throws -> Int64 {
    guard ftruncate(file.descriptor, 0) == 0 else { throw file.failure("ftruncate") }
    return 0
  }
}
