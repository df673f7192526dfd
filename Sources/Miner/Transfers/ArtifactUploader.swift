import Clocks
import Cryptography
import Marketplace
import MarketplaceClient
import NIOPosix
import Wire

/// Sends files to where the coordinator keeps them. A protocol, so that a try's life can be tested without a network.
protocol ArtifactDestination: Sendable {
  /// Sends one file whole. Throws ``ClientError`` or `CancellationError`.
  func upload(_ file: String, as path: String, lease: String, digest: FileDigest) async throws
}

/// `PUT /v1/leases/{token}/artifacts/{path}`, resumable.
struct HTTPArtifactDestination: ArtifactDestination {
  let transport: HTTPTransport

  func upload(_ file: String, as path: String, lease: String, digest: FileDigest) async throws {
    let target = APIPath("leases", lease, "artifacts").appending(file: path)
    _ = try await ResumableUpload(transport, to: target).send(file, digest: digest)
  }
}

/// Hashes and sends all artifacts of one try.
struct ArtifactUploader: Sendable {
  let destination: any ArtifactDestination
  let clock: any MarketClock

  /// Files sent at once.
  static let parallel = 3
  /// Answers of a full or broken coordinator before the try is given up. Its absence is waited for without end: the
  /// lease decides then.
  static let maximumRefusals = 10

  /// Throws ``UploadFailure`` or `CancellationError`.
  func send(_ files: [ArtifactWalk.Found], lease: String) async throws -> [ArtifactFact] {
    try await withThrowingTaskGroup(of: ArtifactFact.self) { group in
      var rest = files[...]
      var facts: [ArtifactFact] = []
      for file in rest.prefix(Self.parallel) { group.addTask { try await send(file, lease) } }
      rest = rest.dropFirst(Self.parallel)
      while let fact = try await group.next() {
        facts.append(fact)
        if let file = rest.popFirst() { group.addTask { try await send(file, lease) } }
      }
      return facts.sorted { $0.path < $1.path }
    }
  }

  private func send(_ file: ArtifactWalk.Found, _ lease: String) async throws -> ArtifactFact {
    let digest = try await NIOThreadPool.singleton.runIfActive { try FileDigest.of(file.file) }
    var refusals = 0
    for attempt in 0... {
      try Task.checkCancellation()
      do {
        try await destination.upload(file.file, as: file.path, lease: lease, digest: digest)
        break
      } catch let error as ClientError {
        guard RetryPolicy.isTransient(error) else { throw UploadFailure(error, path: file.path) }
        if error.status != nil { refusals += 1 }
        guard refusals < Self.maximumRefusals else { throw UploadFailure(error, path: file.path) }
      }
      var generator = SecureRandom()
      try await clock.sleep(for: Backoff.reconnect.delay(attempt: attempt, using: &generator))
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
    case 507: self = .failed(JobError(.diskFull, "artifact \(path): \(error)"))
    default: self = .failed(JobError(.minerError, "artifact \(path): \(error)"))
    }
  }
}
