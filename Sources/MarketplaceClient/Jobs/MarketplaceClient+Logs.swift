import Clocks
public import Marketplace
import NIOCore

/// Which part of a job's logs is wanted.
public struct LogQuery: Hashable, Sendable {
  public var stream: LogStream
  /// Which try; nil: the last.
  public var tryNumber: Int?
  /// From this byte on.
  public var offset: Int64?
  /// Only so many last lines.
  public var tailLines: Int?
  /// Go on until the log has its end.
  public var isFollowing: Bool

  public init(
    _ stream: LogStream = .stdout, tryNumber: Int? = nil, offset: Int64? = nil, tailLines: Int? = nil,
    isFollowing: Bool = false
  ) {
    self.stream = stream
    self.tryNumber = tryNumber
    self.offset = offset
    self.tailLines = tailLines
    self.isFollowing = isFollowing
  }

  var query: [(String, String?)] {
    [
      ("stream", stream.rawValue), ("try", tryNumber.map(String.init)), ("offset", offset.map(String.init)),
      ("tail", tailLines.map(String.init)), ("follow", isFollowing ? "1" : nil),
    ]
  }
}

extension MarketplaceClient {
  /// The raw bytes of one stream as they are stored, piece by piece. Not retried once it has begun.
  public func logs(_ id: String, _ query: LogQuery) async throws -> StreamedAnswer {
    let answer = try await transport.open(APIRequest(.get, path(id, "logs", query: query.query)))
    guard answer.status < 300 else { throw await transport.error(of: answer) }
    return answer
  }

  /// At most `limit` bytes of one stream from `query.offset` on; fewer at its present end. Retried like other calls.
  public func logBytes(_ id: String, _ query: LogQuery, limit: Int) async throws -> [UInt8] {
    var attempt = 0
    while true {
      attempt += 1
      do {
        var bytes: [UInt8] = []
        for try await buffer in try await logs(id, query).body {
          bytes += Array(buffer: buffer).prefix(limit - bytes.count)
          if bytes.count >= limit { break }
        }
        return bytes
      } catch {
        let error = try transport.failure(error)
        var generator = SystemRandomNumberGenerator()
        let wait = configuration.retries.delay(after: error, attempt: attempt, using: &generator)
        guard let wait else { throw error }
        try await transport.clock.sleep(for: wait)
      }
    }
  }
}
