import Cryptography
import Logging
import Marketplace
import MarketplaceClient
import NIOPosix
import Wire

/// Sends files to where the coordinator keeps them. A protocol, so that a try's life can be tested without a network.
protocol ArtifactDestination: Sendable {
  /// Sends one file whole, however long that takes: what may pass is waited out, and `waiting` told. Throws
  /// ``ClientError`` or `CancellationError`.
  func upload(
    _ file: String, as path: String, lease: String, digest: FileDigest,
    waiting: @escaping @Sendable (UploadWait) -> Void
  ) async throws
}

/// `PUT /v1/leases/{token}/artifacts/{path}`, resumable.
struct HTTPArtifactDestination: ArtifactDestination {
  let transport: HTTPTransport

  func upload(
    _ file: String, as path: String, lease: String, digest: FileDigest,
    waiting: @escaping @Sendable (UploadWait) -> Void
  ) async throws {
    let target = APIPath("leases", lease, "artifacts").appending(file: path)
    _ = try await ResumableUpload(transport, to: target, isPatient: true, waiting: waiting).send(file, digest: digest)
  }
}

/// Hashes and sends all artifacts of one try. A coordinator that is away, full or busy is waited for without end: the
/// lease decides how long that makes sense, and whoever holds the lease cancels.
struct ArtifactUploader: Sendable {
  let destination: any ArtifactDestination

  /// Files sent at once.
  static let parallel = 3

  /// Throws ``UploadFailure`` or `CancellationError`.
  func send(_ files: [ArtifactWalk.Found], lease: String, logger: Logger) async throws -> [ArtifactFact] {
    try await withThrowingTaskGroup(of: ArtifactFact.self) { group in
      var rest = files[...]
      var facts: [ArtifactFact] = []
      for file in rest.prefix(Self.parallel) { group.addTask { try await send(file, lease, logger) } }
      rest = rest.dropFirst(Self.parallel)
      while let fact = try await group.next() {
        facts.append(fact)
        if let file = rest.popFirst() { group.addTask { try await send(file, lease, logger) } }
      }
      return facts.sorted { $0.path < $1.path }
    }
  }

  private func send(_ file: ArtifactWalk.Found, _ lease: String, _ logger: Logger) async throws -> ArtifactFact {
    let digest = try await NIOThreadPool.singleton.runIfActive { try FileDigest.of(file.file) }
    do {
      try await destination.upload(file.file, as: file.path, lease: lease, digest: digest) { wait in
        // The first, then ever more seldom: a disk may stay full for days.
        guard wait.stalls.nonzeroBitCount == 1 else { return }
        logger.notice(
          "an artifact can't be delivered yet; trying again",
          metadata: [
            "artifact": "\(file.path)", "reason": "\(wait.reason)", "attempts": "\(wait.stalls)",
            "wait_ms": "\(wait.time.milliseconds)",
          ])
      }
    } catch let error as ClientError {
      throw UploadFailure(error, path: file.path)
    }
    return ArtifactFact(path: file.path, size: digest.size, sha256: digest.sha256.hex)
  }
}

/// An artifact that can't be handed over.
enum UploadFailure: Error, Hashable, Sendable {
  /// The lease is over; nothing of the try counts any more.
  case leaseLost
  case failed(JobError)

  init(_ error: ClientError, path: String) {
    switch error.status {
    case 409: self = .leaseLost
    case 413, 422: self = .failed(JobError(.outputTooLarge, "artifact \(path): \(error)"))
    default: self = .failed(JobError(.minerError, "artifact \(path): \(error)"))
    }
  }
}
