import Cryptography
import Marketplace
import NIOPosix
import Store
import Synchronization
import Wire

/// The logs of live tries: open files, how long they are, and their running digests.
final class LogBook: Sendable {
  /// The two open files of one try. Used by one task at a time: the miner's session.
  private final class Pair: Sendable {
    let files: [LogStream: LogFile]
    init(files: [LogStream: LogFile]) { self.files = files }
  }

  private let files: FileStore
  private let blocking: NIOThreadPool
  private let open = Mutex<[String: Pair]>([:])

  init(files: FileStore, blocking: NIOThreadPool) {
    self.files = files
    self.blocking = blocking
  }

  /// Appends bytes of a live try. The answer says what became of them and how long the log is now.
  func append(_ chunk: LogChunk, lease: LeaseTable.Lease) async throws -> LogFile.Append {
    let pair = try await pair(of: lease)
    return try await blocking.runIfActive {
      guard let file = pair.files[chunk.stream] else { return .gap(expected: 0) }
      return try file.append(chunk.data, at: chunk.offset)
    }
  }

  /// How many bytes of each log are here, for a miner that is back.
  func lengths(of lease: LeaseTable.Lease) async throws -> [LogStream: Int64] {
    let pair = try await pair(of: lease)
    return try await blocking.runIfActive { pair.files.mapValues(\.length) }
  }

  /// Compares what is here with what the miner wrote, and makes it durable. Returns the streams that lack bytes, with
  /// the length that is here. Throws when all bytes are here but the digest is another.
  func finish(_ lease: LeaseTable.Lease, facts: [(LogStream, LogFact)]) async throws -> [(LogStream, Int64)] {
    if facts.allSatisfy({ $0.1.length == 0 }), open.withLock({ $0[lease.hash] == nil }) { return [] }
    let pair = try await pair(of: lease)
    return try await blocking.runIfActive {
      var missing: [(LogStream, Int64)] = []
      for (stream, fact) in facts {
        guard let file = pair.files[stream] else { continue }
        if file.length < fact.length {
          missing.append((stream, file.length))
        } else if file.length > fact.length || file.digest.hex != fact.sha256 {
          throw LogMismatch(stream: stream)
        } else {
          try file.sync()
        }
      }
      return missing
    }
  }

  /// The try is over; its files are closed when the last user lets go of them.
  func close(_ leaseHash: String) { _ = open.withLock { $0.removeValue(forKey: leaseHash) } }

  private func pair(of lease: LeaseTable.Lease) async throws -> Pair {
    if let pair = open.withLock({ $0[lease.hash] }) { return pair }
    let files = files
    let opened = try await blocking.runIfActive {
      var opened: [LogStream: LogFile] = [:]
      for stream in LogStream.allCases {
        opened[stream] = try files.openLog(lease.job, tryNumber: lease.tryNumber, stream: stream)
      }
      return opened
    }
    return open.withLock { open in
      if let pair = open[lease.hash] { return pair }
      let pair = Pair(files: opened)
      open[lease.hash] = pair
      return pair
    }
  }
}

/// The bytes of a log are not those that the miner wrote.
struct LogMismatch: Error {
  let stream: LogStream
}
