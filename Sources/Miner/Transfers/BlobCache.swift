import Clocks
import Cryptography
import Glibc
import Logging
import Marketplace
import MarketplaceClient
import NIOPosix
import ResultPackage

/// Inputs that the miner keeps for the next job that wants them: `cache/<sha256>` below its work directory.
///
/// Jobs get copies of their own, hashed while they are copied, so that no job can change what another reads. Jobs that
/// want the same bytes at once share one fetch; one that was cut off, also by the miner's end, goes on where it stopped.
/// When the cache is full, what was not used for the longest time goes first.
actor BlobCache {
  /// One fetch, and those who wait for it.
  private struct Fetch {
    let task: Task<Void, Never>
    var waiters: [Int: CheckedContinuation<Void, any Error>] = [:]
  }

  private let directory: CacheDirectory
  private let transport: HTTPTransport
  private let clock: any MarketClock
  private let logger: Logger
  private var fetches: [SHA256Digest: Fetch] = [:]
  private var lastWaiter = 0
  /// Files that are being copied must not go.
  private var users: [SHA256Digest: Int] = [:]

  /// - Parameter limit: bytes kept at most.
  init(
    directory: String, limit: Int64, transport: HTTPTransport, clock: any MarketClock, logger: Logger
  ) throws {
    self.directory = try CacheDirectory(path: directory, limit: limit)
    self.transport = transport
    self.clock = clock
    self.logger = logger
  }

  /// Fills an open, empty file with a blob. Throws ``InputFailure``, `FileError` or `CancellationError`.
  func provide(
    _ digest: SHA256Digest, to file: SharedDescriptor, name: String, deadline: MonotonicTime
  ) async throws {
    // Twice when the bytes kept were damaged, once more when another's fetch failed for reasons of its own.
    for _ in 0..<3 {
      if try await copy(digest, to: file, name: name) { return }
      do {
        try await fetched(digest, name: name, deadline: deadline)
      } catch let failure as SharedFetchFailure {
        guard failure.isOthers, clock.monotonic < deadline else { throw failure.error }
      }
    }
    throw InputFailure(.inputUnavailable, "\(name): it could not be kept long enough to be read")
  }

  /// Copies what is here. False when it is not, or was damaged; then it is gone.
  private func copy(_ digest: SHA256Digest, to file: SharedDescriptor, name: String) async throws -> Bool {
    users[digest, default: 0] += 1
    defer {
      let rest = (users[digest] ?? 1) - 1
      users[digest] = rest > 0 ? rest : nil
    }
    let outcome = try await NIOThreadPool.singleton.runIfActive { [directory] in
      try directory.copy(digest, to: file.raw, name: name)
    }
    if outcome == .damaged {
      logger.warning("a kept input was damaged; it is fetched again", metadata: ["sha256": "\(digest)"])
    }
    return outcome == .copied
  }

  // MARK: Fetching

  /// A fetch that failed; `isOthers` when another job had begun it, with a deadline of its own.
  private struct SharedFetchFailure: Error {
    let error: any Error
    var isOthers = false
  }

  /// Returns when the blob is here. The last who gives up waiting ends the fetch.
  private func fetched(_ digest: SHA256Digest, name: String, deadline: MonotonicTime) async throws {
    let isOthers = fetches[digest] != nil
    if !isOthers {
      let task = Task {
        let result: Result<Void, any Error>
        do {
          result = .success(try await fetch(digest, name: name, deadline: deadline))
        } catch {
          result = .failure(error)
        }
        finish(digest, result)
      }
      fetches[digest] = Fetch(task: task)
    }
    lastWaiter += 1
    let waiter = lastWaiter
    do {
      try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
          if Task.isCancelled {
            continuation.resume(throwing: CancellationError())
          } else {
            fetches[digest]?.waiters[waiter] = continuation
          }
        }
      } onCancel: {
        Task { await self.giveUp(waiter, digest) }
      }
    } catch is CancellationError where Task.isCancelled {
      leave(digest)
      throw CancellationError()
    } catch {
      throw SharedFetchFailure(error: error, isOthers: isOthers)
    }
  }

  private func giveUp(_ waiter: Int, _ digest: SHA256Digest) {
    fetches[digest]?.waiters.removeValue(forKey: waiter)?.resume(throwing: CancellationError())
    leave(digest)
  }

  private func leave(_ digest: SHA256Digest) {
    if let fetch = fetches[digest], fetch.waiters.isEmpty { fetch.task.cancel() }
  }

  private func finish(_ digest: SHA256Digest, _ result: Result<Void, any Error>) {
    let waiters = fetches.removeValue(forKey: digest)?.waiters.values.map(\.self) ?? []
    for waiter in waiters { waiter.resume(with: result) }
  }

  private func fetch(_ digest: SHA256Digest, name: String, deadline: MonotonicTime) async throws {
    let directory = directory
    do {
      try await receive(digest, name: name, deadline: deadline)
    } catch let error as FileError where error.code == ENOSPC || error.code == EDQUOT {
      // Room for the job before room for jobs to come.
      let used = Set(users.keys)
      try await NIOThreadPool.singleton.runIfActive { try directory.evict(to: 0, keeping: used) }
      do {
        try await receive(digest, name: name, deadline: deadline)
      } catch let error as FileError where error.code == ENOSPC || error.code == EDQUOT {
        // It will not fit: what came of it must not fill the disk for others.
        unlink(directory.partPath(digest))
        throw error
      }
    }
    let used = Set(users.keys).union([digest])
    try await NIOThreadPool.singleton.runIfActive { try directory.evict(to: directory.limit, keeping: used) }
  }

  private func receive(_ digest: SHA256Digest, name: String, deadline: MonotonicTime) async throws {
    let part = directory.partPath(digest)
    let file = try await NIOThreadPool.singleton.runIfActive {
      SharedDescriptor(try Descriptor(opening: part, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600))
    }
    try await BlobFetch(transport: transport, clock: clock, digest: digest, deadline: deadline)
      .fill(file, name: name, resuming: true)
    // Not synced: what a power cut damages is found when it is copied.
    guard rename(part, directory.path(digest)) == 0 else {
      throw FileError(path: part, operation: "rename", code: errno)
    }
  }
}
