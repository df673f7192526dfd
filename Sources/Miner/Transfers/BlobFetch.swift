import Clocks
import Cryptography
import Glibc
import Marketplace
import MarketplaceClient
import NIOCore
import NIOPosix
import ResultPackage

/// Fetches one blob (`GET /v1/blobs/{sha256}`) into an open file: a broken connection goes on where it was cut, and
/// only the bytes of the digest are accepted.
///
/// The SDK's `ResumableDownload` asks for a size first (`HEAD`), which is a route of clients; the digest is all we
/// need.
struct BlobFetch: Sendable {
  let transport: HTTPTransport
  let clock: any MarketClock
  let digest: SHA256Digest
  /// When to give up.
  let deadline: MonotonicTime

  /// Throws ``InputFailure``, ``FileError`` or `CancellationError`.
  ///
  /// - Parameter resuming: whether what the file holds is the beginning of the blob.
  func fill(_ file: SharedDescriptor, name: String, resuming: Bool = false) async throws {
    let hasher = HashedFile(file: file, path: name)
    var mayBeDamaged = resuming
    if resuming { try await NIOThreadPool.singleton.runIfActive { try hasher.adopt() } }
    var attempt = 0
    while true {
      let had = hasher.length
      do {
        if try await receive(hasher) {
          // Bytes of an earlier fetch may have been damaged since: once more, from the start.
          guard mayBeDamaged, hasher.digest != digest else { break }
          mayBeDamaged = false
          try hasher.restart()
        }
      } catch let error as ClientError {
        guard RetryPolicy.isTransient(error) else { throw InputFailure(.inputUnavailable, "\(name): \(error)") }
      }
      var generator = SecureRandom()
      // Headway forgives what failed before.
      attempt = hasher.length > had ? 0 : attempt + 1
      let wait = Backoff.reconnect.delay(attempt: attempt, using: &generator)
      guard clock.monotonic + wait < deadline else {
        throw InputFailure(.inputUnavailable, "\(name): it could not be fetched in time")
      }
      try await clock.sleep(for: wait)
    }
    guard hasher.digest == digest else {
      throw InputFailure(.inputUnavailable, "\(name): its bytes do not have the digest it was given with")
    }
  }

  /// One request. True when the answer was read to its end.
  private func receive(_ file: HashedFile) async throws -> Bool {
    let have = file.length
    let headers: [(name: String, value: String)] = have > 0 ? [("Range", "bytes=\(have)-")] : []
    let answer = try await transport.open(APIRequest(.get, APIPath("blobs", digest.hex), headers: headers))
    switch answer.status {
    case 206 where have > 0 && answer.headers["Content-Range"]?.hasPrefix("bytes \(have)-") == true: break
    case 200: try file.restart()
    // What is here may already be all.
    case 416 where have > 0: return true
    default: throw await transport.error(of: answer)
    }
    let start = file.length
    let expected = answer.headers.integer("Content-Length")
    do {
      for try await buffer in answer.body {
        try Task.checkCancellation()
        try await NIOThreadPool.singleton.runIfActive { try file.append(Array(buffer.readableBytesView)) }
      }
    } catch let error as FileError {
      throw error
    } catch {
      try Task.checkCancellation()
      return false
    }
    return expected.map { file.length - start == $0 } ?? true
  }
}

/// A file that is written from front to back and hashed on the way.
///
/// `@unchecked Sendable`: the task that fetches hands it to a thread and waits; two never touch it at once.
private final class HashedFile: @unchecked Sendable {
  private let file: SharedDescriptor
  private let path: String
  private let hasher = SHA256()
  private(set) var length: Int64 = 0

  init(file: SharedDescriptor, path: String) {
    self.file = file
    self.path = path
  }

  var digest: SHA256Digest { hasher.digestSoFar() }

  /// Takes what the file holds as the beginning.
  func adopt() throws {
    let source = try FileSource(descriptor: file.raw, path: path)
    while UInt64(length) < source.size {
      let piece = try source.bytes(at: UInt64(length), count: Int(min(source.size - UInt64(length), 1 << 20)))
      hasher.update(piece)
      length += Int64(piece.count)
    }
  }

  func append(_ bytes: [UInt8]) throws {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        pwrite(file.raw, buffer.baseAddress.map { $0 + done }, bytes.count - done, off_t(length) + off_t(done))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw FileError(path: path, operation: "write", code: count < 0 ? errno : EIO) }
      done += count
    }
    hasher.update(bytes)
    length += Int64(bytes.count)
  }

  func restart() throws {
    guard length > 0 else { return }
    guard ftruncate(file.raw, 0) == 0 else { throw FileError(path: path, operation: "truncate", code: errno) }
    _ = hasher.finalize()
    length = 0
  }
}
