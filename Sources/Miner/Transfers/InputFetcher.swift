import Clocks
import Cryptography
import Glibc
import Marketplace
import MarketplaceClient
import NIOCore
import NIOPosix
import ResultPackage

/// Brings a job's input files into its working directory, each checked against its digest.
struct InputFetcher: Sendable {
  let transport: HTTPTransport
  let clock: any MarketClock
  /// For all inputs of a job together.
  let timeout: Seconds
  /// Nil: nothing is kept.
  var cache: BlobCache?

  /// Files fetched at once.
  static let parallel = 4

  /// Throws ``JobError`` (as `InputFailure`) or `CancellationError`.
  func fetch(_ inputs: [JobInputFile], into directory: String) async throws {
    guard !inputs.isEmpty else { return }
    let deadline = clock.monotonic + timeout
    try await withThrowingTaskGroup(of: Void.self) { group in
      var rest = inputs[...]
      for input in rest.prefix(Self.parallel) { group.addTask { try await fetch(input, directory, deadline) } }
      rest = rest.dropFirst(Self.parallel)
      while try await group.next() != nil {
        if let input = rest.popFirst() { group.addTask { try await fetch(input, directory, deadline) } }
      }
    }
  }

  private func fetch(_ input: JobInputFile, _ directory: String, _ deadline: MonotonicTime) async throws {
    guard let digest = SHA256Digest(hex: input.sha256) else {
      throw InputFailure(.inputUnavailable, "\(input.path): its digest is none")
    }
    let path: ArtifactPath
    do {
      path = try ArtifactPath(validating: input.path)
    } catch {
      throw InputFailure(.inputUnavailable, "\(input.path.prefix(256)): \(error)")
    }
    let target = directory + "/" + path.string
    do {
      try Self.makeParents(of: path, below: directory)
      let file = try Descriptor(opening: target, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
      let shared = SharedDescriptor(file)
      if let cache {
        try await cache.provide(digest, to: shared, name: input.path, deadline: deadline)
      } else {
        try await BlobFetch(transport: transport, clock: clock, digest: digest, deadline: deadline)
          .fill(shared, name: input.path)
      }
    } catch let error as FileError {
      throw InputFailure.disk(error, input.path)
    }
    guard chmod(target, input.isExecutable ? 0o700 : 0o600) == 0 else {
      throw InputFailure(.minerError, "\(input.path): \(SystemText.error(errno))")
    }
  }

  /// The folder is ours and fresh: no link can stand in the way.
  private static func makeParents(of path: ArtifactPath, below directory: String) throws {
    var parent = directory
    for segment in path.string.split(separator: "/").dropLast() {
      parent += "/" + segment
      guard mkdir(parent, 0o700) == 0 || errno == EEXIST else {
        throw FileError(path: parent, operation: "make a folder at", code: errno)
      }
    }
  }
}

/// An input that can't be had, as the job's error.
struct InputFailure: Error, Hashable, Sendable {
  let error: JobError

  init(_ code: JobErrorCode, _ message: String) { error = JobError(code, message) }

  static func disk(_ error: FileError, _ name: String) -> InputFailure {
    switch error.code {
    case ENOSPC, EDQUOT: InputFailure(.diskFull, "\(name): the miner's disk is full")
    case EEXIST, ENOTDIR, EISDIR: InputFailure(.inputUnavailable, "\(name): another input stands in its place")
    default: InputFailure(.minerError, "\(name): \(SystemText.error(error.code))")
    }
  }
}

/// A descriptor that several closures use; closed with the last of them.
final class SharedDescriptor: Sendable {
  private let descriptor: Descriptor
  var raw: Int32 { descriptor.raw }

  init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
}
