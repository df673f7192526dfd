import Logging
import Marketplace
import Wire

extension FeedDriver {
  /// The most that is fetched over REST in one step.
  static let fetchBytes = 1 << 20

  /// Takes the first waiting piece, or fetches some of what must come before it.
  func resolveLog() async throws {
    guard let piece = waiting.first else { return }
    switch logs.take(piece) {
    case .drop: waiting.removeFirst()
    case .emit(let rest):
      waiting.removeFirst()
      queue.append(.log(rest))
    case .missing(let range):
      let got = try await fetch(piece.stream, piece.tryNumber, from: range.lowerBound, limit: range.count)
      if got == 0 {
        logs.skip(piece.stream, in: piece.tryNumber, to: range.upperBound)
        queue.append(.gap(LogGap(stream: piece.stream, tryNumber: piece.tryNumber, range: range)))
      }
    }
  }

  /// Fetches a stretch of a stream and puts it through the assembler. Returns how many bytes there were.
  func fetch(_ stream: LogStream, _ tryNumber: Int, from offset: Int64, limit: Int = fetchBytes) async throws -> Int {
    let bytes: [UInt8]
    do {
      bytes = try await client.logBytes(
        job, LogQuery(stream, tryNumber: tryNumber, offset: offset), limit: min(limit, Self.fetchBytes))
    } catch let error as ClientError where !RetryPolicy.isTransient(error) && error.status != 401 && error.status != 403
    {
      client.transport.logger.debug("log of \(job): \(error)")
      return 0
    }
    guard !bytes.isEmpty else { return 0 }
    let piece = LogPiece(job: job, stream: stream, tryNumber: tryNumber, offset: offset, data: bytes)
    if case .emit(let rest) = logs.take(piece) { queue.append(.log(rest)) }
    return bytes.count
  }

  /// After the end: whatever the socket had not brought, then the final document.
  func drain(_ streams: [LogStream]) async throws {
    let tryNumber = reducer.tryNumber
    guard let stream = streams.first else {
      let document = try await client.job(job)
      phase = .finished
      return queue.append(.end(document))
    }
    if logs.isEnded(stream, in: tryNumber) { return phase = .draining(Array(streams.dropFirst())) }
    let got = try await fetch(stream, tryNumber, from: logs.offset(of: stream, in: tryNumber))
    if got == 0 { phase = .draining(Array(streams.dropFirst())) }
  }
}
