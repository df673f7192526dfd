import Clocks
public import Cryptography
import Glibc
import Logging
public import Marketplace
import Wire

/// A file's size and digest, taken by reading it once.
public struct FileDigest: Hashable, Sendable {
  public let size: Int64
  public let sha256: SHA256Digest

  public init(size: Int64, sha256: SHA256Digest) {
    self.size = size
    self.sha256 = sha256
  }

  /// Reads the file in pieces of 1 MiB. Throws ``ClientError/file(path:operation:code:)``; `CancellationError` when the
  /// task is canceled.
  public static func of(_ path: String) throws -> FileDigest {
    try of(OpenFile(path, O_RDONLY))
  }

  static func of(_ file: OpenFile) throws -> FileDigest {
    _ = try file.regularSize()
    let hasher = SHA256()
    var offset: Int64 = 0
    while true {
      try Task.checkCancellation()
      let bytes = try file.read(at: offset, count: 1 << 20)
      if bytes.isEmpty { break }
      hasher.update(bytes)
      offset += Int64(bytes.count)
    }
    return FileDigest(size: offset, sha256: hasher.finalize())
  }
}

/// Sends one file to one place so that a broken connection costs only what was under way: blobs of clients
/// (`/v1/blobs/{sha256}`) and artifacts of miners (`/v1/leases/{token}/artifacts/{path}`). See ``UploadPlan`` for the
/// protocol.
public struct ResumableUpload: Sendable {
  public enum Outcome: Hashable, Sendable {
    case sent
    /// The coordinator had it already; nothing was sent.
    case wasThere
  }

  private let transport: HTTPTransport
  private let path: APIPath
  private let headers: [(name: String, value: String)]
  private let pieceBytes: Int64
  private let isPatient: Bool
  private let waiting: (@Sendable (UploadWait) -> Void)?

  /// - Parameters:
  ///   - headers: sent with each request, a lease token for example.
  ///   - pieceBytes: bytes in one request, 64 MiB by default.
  ///   - isPatient: whether to wait out, without end, what may pass: a lost network, 429, 503, 507. Not by default.
  ///   - waiting: told before each wait.
  public init(
    _ transport: HTTPTransport, to path: APIPath, headers: [(name: String, value: String)] = [],
    pieceBytes: Int64 = 64 << 20, isPatient: Bool = false, waiting: (@Sendable (UploadWait) -> Void)? = nil
  ) {
    self.transport = transport
    self.path = path
    self.headers = headers
    self.pieceBytes = pieceBytes
    self.isPatient = isPatient
    self.waiting = waiting
  }

  /// Sends the file. `digest` is what ``FileDigest`` said of it; the coordinator refuses other bytes (422).
  ///
  /// - Parameter progress: told how many bytes were handed to the connection, from the start of the file.
  /// - Throws: ``ClientError`` after eight failures in a row without headway (never, when it is patient), or at once for
  ///   an error that a repetition cannot mend; `CancellationError`.
  public func send(
    _ file: String, digest: FileDigest, progress: (@Sendable (Int64) -> Void)? = nil
  ) async throws -> Outcome {
    let file = try OpenFile(file, O_RDONLY)
    guard try file.regularSize() == digest.size else {
      throw ClientError.integrity("\(file.path) changed after it was read")
    }
    var plan = UploadPlan(size: digest.size, pieceBytes: pieceBytes, isPatient: isPatient)
    var step = UploadPlan.Step.probe
    while true {
      try Task.checkCancellation()
      switch step {
      case .probe: step = try await probe(digest, &plan)
      case .waitAndProbe(let stalls):
        var generator = SecureRandom()
        let wait = UploadWait(for: plan.trouble, stalls: stalls, using: &generator)
        waiting?(wait)
        transport.logger.debug("upload stopped, on in \(wait.time.milliseconds) ms: \(wait.reason)")
        try await transport.clock.sleep(for: wait.time)
        step = .probe
      case .send(let range): step = try await send(range, of: file, digest, &plan, progress)
      case .done(let wasThere): return wasThere ? .wasThere : .sent
      case .fail(let error): throw error
      }
    }
  }

  private func probe(_ digest: FileDigest, _ plan: inout UploadPlan) async throws -> UploadPlan.Step {
    do {
      let answer = try await transport.open(APIRequest(.head, path, headers: headers + [Self.digestField(digest)]))
      return plan.probed(APIAnswer(status: answer.status, headers: answer.headers, body: []))
    } catch let error as ClientError {
      return plan.failed(error)
    }
  }

  private func send(
    _ range: Range<Int64>, of file: OpenFile, _ digest: FileDigest, _ plan: inout UploadPlan,
    _ progress: (@Sendable (Int64) -> Void)?
  ) async throws -> UploadPlan.Step {
    var fields = headers + [Self.digestField(digest)]
    if range.isEmpty, digest.size > 0 {
      fields.append(("Content-Range", "bytes */\(digest.size)"))
    } else if range != 0..<digest.size {
      fields.append(("Content-Range", "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(digest.size)"))
    }
    let body = UploadBody(file, range, progress: progress)
    do {
      let answer = try await transport.open(APIRequest(.put, path, headers: fields), upload: body)
      let bytes = try await answer.body.bytes(upTo: 1 << 20)
      return plan.sent(APIAnswer(status: answer.status, headers: answer.headers, body: bytes))
    } catch {
      return plan.failed(try transport.failure(error))
    }
  }
}

extension ResumableUpload {
  /// RFC 9530. With it the coordinator tells this upload from one of other bytes under the same name.
  fileprivate static func digestField(_ digest: FileDigest) -> (name: String, value: String) {
    ("Repr-Digest", "sha-256=:\(digest.sha256.base64):")
  }
}

/// Why an upload pauses, and how long.
public struct UploadWait: Hashable, Sendable {
  /// Failures in a row without headway so far.
  public let stalls: Int
  /// The last of them.
  public let reason: ClientError
  public let time: Seconds

  /// A coordinator may ask for at most so long a pause.
  static let longestRetryAfter = Seconds(60)

  /// Full jitter, on top of what `Retry-After` asks for.
  init(for trouble: ClientError?, stalls: Int, using generator: inout some RandomNumberGenerator) {
    self.stalls = stalls
    reason = trouble ?? .unexpected("the upload makes no headway")
    let jitter = Backoff.reconnect.delay(attempt: stalls, using: &generator)
    guard case .problem(let problem) = trouble, let asked = problem.retryAfter else {
      time = jitter
      return
    }
    let pause = min(Seconds(Int64(asked)), Self.longestRetryAfter)
    time = Seconds(milliseconds: pause.milliseconds + jitter.milliseconds)
  }
}
