import Clocks
import Cryptography
import Glibc
import Logging
import Marketplace
import NIOCore

/// The coordinator answers with the whole where a part was asked for.
struct PartsRefused: Error {}

/// Fetches what a ``PartFile`` lacks, its parts side by side.
struct PartFetcher: Sendable {
  let download: ResumableDownload
  let file: PartFile
  let tag: String?

  private var transport: HTTPTransport { download.transport }

  /// Returns when all bytes are here. Throws ``PartsRefused``, ``ClientError`` or `CancellationError`; what arrived
  /// stays.
  func run() async throws {
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for part in file.open { group.addTask { try await fill(part) } }
        try await group.waitForAll()
      }
    } catch {
      // The failure is told, not that it could not be written down.
      try? file.save()
      throw error
    }
    try file.save()
  }

  private func fill(_ part: Int) async throws {
    var stalls = 0
    while let (start, end) = file.next(part) {
      try Task.checkCancellation()
      do {
        try await receive(part, from: start, to: end)
        if file.next(part) != nil { throw broken("the download ended early") }
      } catch {
        if error is PartsRefused { throw error }
        let error = try transport.failure(error)
        stalls = file.next(part).map { $0.start > start } ?? true ? 0 : stalls + 1
        guard RetryPolicy.isTransient(error), stalls < DownloadPlan.maximumStalls else { throw error }
        transport.logger.debug("download stopped at byte \(file.next(part)?.start ?? end) of \(file.total): \(error)")
        var generator = SecureRandom()
        try await transport.clock.sleep(for: Backoff.reconnect.delay(attempt: stalls, using: &generator))
      }
    }
  }

  /// One request.
  private func receive(_ part: Int, from start: Int64, to end: Int64) async throws {
    let isSingle = file.isSingle
    var fields = download.headers
    if start > 0 || !isSingle {
      fields.append(("Range", end == file.total ? "bytes=\(start)-" : "bytes=\(start)-\(end - 1)"))
      if let tag { fields.append(("If-Range", tag)) }
    }
    let answer = try await transport.open(APIRequest(.get, download.path, headers: fields))
    let head = APIAnswer(status: answer.status, headers: answer.headers, body: [])
    switch DownloadPlan(total: file.total).answered(head, have: start, end: isSingle ? nil : end) {
    case .fail(let error): throw answer.status >= 400 ? await transport.error(of: answer) : error
    case .whole: throw PartsRefused()
    case .restart:
      // Counts as a failure without headway, so a server that never agrees ends the loop.
      try file.restart(part)
      throw broken("the range was refused")
    case .write(let place):
      if place < start { try file.restart(part) }
      try await copy(answer, to: part, from: place, to: end)
    }
  }

  private func copy(_ answer: StreamedAnswer, to part: Int, from start: Int64, to end: Int64) async throws {
    var offset = start
    for try await buffer in answer.body {
      guard offset + Int64(buffer.readableBytes) <= end else {
        throw ClientError.unexpected("the coordinator sent more than the \(end - start) bytes it promised")
      }
      try buffer.withUnsafeReadableBytes { bytes throws(ClientError) in
        try file.write(bytes, part: part, at: offset)
      }
      offset += Int64(buffer.readableBytes)
    }
  }

  private func broken(_ reason: String) -> ClientError {
    .unreachable(url: transport.configuration.url.description, reason: reason)
  }
}
