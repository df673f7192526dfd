public import Clocks
import Cryptography
import JSON
import Logging
public import Marketplace
import NIOCore
import NIOHTTP1
import Synchronization
import TLS
import Wire

/// Sends calls: the key, request ids, time-outs, retries, errors as ``ClientError``. One connection pool.
///
/// Call ``shutdown()`` when done with it.
public final class HTTPTransport: Sendable {
  public let configuration: ClientConfiguration
  /// Made at the first call: what only TLS needs is read from disk.
  private let pool = Mutex<ConnectionPool?>(nil)

  public init(_ configuration: ClientConfiguration) { self.configuration = configuration }

  /// Closes all connections; calls under way fail.
  public func shutdown() async { await pool.withLock { $0 }?.shutdown() }

  public var clock: any MarketClock { configuration.clock }
  var logger: Logger { configuration.logger }

  /// Sends a call, again and again as ``RetryPolicy`` says, and reads the answer whole. Throws ``ClientError`` for every
  /// status of 400 and above that is not in `accepting`, and `CancellationError`.
  public func call(_ request: APIRequest, accepting: Set<Int> = []) async throws -> APIAnswer {
    var request = request
    if request.isChange, request.idempotencyKey == nil {
      request.idempotencyKey = secureToken(prefix: "", bytes: 18)
    }
    let requestID = Hex.encode(SecureRandom.bytes(8))
    let limit = configuration.callTimeout
    let start = clock.monotonic
    var last: ClientError?
    for attempt in 1...max(1, configuration.retries.maximumAttempts) {
      let rest = limit.map { Seconds(milliseconds: $0.milliseconds - (clock.monotonic - start).milliseconds) }
      if let limit, let rest, rest.milliseconds <= 0 { throw ClientError.timedOut(after: limit, last: last) }
      do {
        return try await once(request, id: requestID, within: rest, accepting: accepting)
      } catch let error as ClientError {
        var generator = SecureRandom()
        last = error
        guard let wait = configuration.retries.delay(after: error, attempt: attempt, using: &generator) else {
          throw error
        }
        logger.debug("\(request.method.rawValue) \(request.path): attempt \(attempt) failed: \(error)")
        if let limit, let rest, wait >= rest { throw ClientError.timedOut(after: limit, last: last) }
        try await clock.sleep(for: wait)
      }
    }
    throw last ?? ClientError.unexpected("no attempt was made")
  }

  private func once(
    _ request: APIRequest, id: String, within limit: Seconds?, accepting: Set<Int>
  ) async throws -> APIAnswer {
    let response = try await open(request, id: id, within: limit)
    let body: [UInt8]
    do {
      body = try await response.body.bytes(upTo: configuration.maximumAnswerBytes)
    } catch is NIOTooManyBytesError {
      throw ClientError.unexpected("the answer is larger than \(configuration.maximumAnswerBytes) bytes")
    } catch {
      throw try failure(error)
    }
    let answer = APIAnswer(status: response.status, headers: response.headers, body: body)
    if answer.status >= 300, !accepting.contains(answer.status) { throw Self.error(of: answer) }
    return answer
  }

  /// Sends a call once and hands back the answer as it begins, whatever its status.
  public func open(
    _ request: APIRequest, id: String? = nil, within limit: Seconds? = nil, upload: UploadBody? = nil
  ) async throws -> StreamedAnswer {
    let body: RequestBody =
      if let body = request.body { .bytes(ByteBuffer(bytes: body.encoded)) } else if let upload { .stream(upload) } else
      {
        .none
      }
    let head = HTTPRequestHead(
      version: .http1_1, method: HTTPMethod(rawValue: request.method.rawValue),
      uri: configuration.url.prefix + request.path.description,
      headers: fields(of: request, id: id ?? Hex.encode(SecureRandom.bytes(8)), body))
    let deadline = limit.map { NIODeadline.now() + .milliseconds($0.milliseconds) } ?? .distantFuture
    do {
      let answer = try await exchange(head, body, deadline)
      return StreamedAnswer(
        status: Int(answer.head.status.code), headers: AnswerHeaders(answer.head.headers.map { ($0.name, $0.value) }),
        body: AnswerBody(source: answer.body, url: configuration.url.description))
    } catch {
      throw try failure(error)
    }
  }

  /// On the first connection that still stands. Redirects are not followed: the key would go to whoever is named.
  private func exchange(
    _ head: HTTPRequestHead, _ body: RequestBody, _ deadline: NIODeadline
  ) async throws -> ReceivedAnswer {
    let pool = try connections()
    while true {
      let loan = try await pool.take(before: deadline)
      do {
        return try await loan.connection.exchange(head, body: body, deadline: deadline)
      } catch {
        pool.discard(loan)
        // The coordinator closed it while nobody used it.
        switch error {
        case ConnectionFailure.notSent: continue
        case ConnectionFailure.unanswered where isRepeatable(head, body): continue
        default: throw error
        }
      }
    }
  }

  /// A stream is not: whoever sends it asks first how much of it has arrived.
  private func isRepeatable(_ head: HTTPRequestHead, _ body: RequestBody) -> Bool {
    switch (head.method, body) {
    case (_, .stream): false
    case (.GET, _), (.HEAD, _), (.PUT, _): true
    default: head.headers.contains(name: "Idempotency-Key")
    }
  }

  private func connections() throws -> ConnectionPool {
    try pool.withLock { pool in
      if let pool { return pool }
      let made = ConnectionPool(
        HTTPConnection.Target(
          host: configuration.url.host, port: configuration.url.port,
          tls: configuration.url.isSecure ? try TLSContext() : nil,
          connectTimeout: .milliseconds(configuration.connectTimeout.milliseconds),
          silenceTimeout: .milliseconds(configuration.silenceTimeout.milliseconds)),
        maximum: configuration.maximumConnections)
      pool = made
      return made
    }
  }

  private func fields(of request: APIRequest, id: String, _ body: RequestBody) -> HTTPHeaders {
    var fields = HTTPHeaders([
      ("Host", configuration.url.authority), ("User-Agent", configuration.userAgent), ("X-Request-ID", id),
    ])
    if let key = configuration.apiKey { fields.add(name: "X-Api-Key", value: key) }
    if let key = request.idempotencyKey { fields.add(name: "Idempotency-Key", value: key) }
    for header in request.headers { fields.add(name: header.name, value: header.value) }
    switch body {
    case .none: if request.isChange || request.method == .put { fields.add(name: "Content-Length", value: "0") }
    case .bytes(let buffer):
      fields.add(name: "Content-Type", value: "application/json")
      fields.add(name: "Content-Length", value: String(buffer.readableBytes))
    case .stream(let upload):
      fields.add(name: "Content-Type", value: "application/octet-stream")
      fields.add(name: "Content-Length", value: String(upload.length))
    }
    return fields
  }

  /// Reads what is left of an answer that is an error, and makes a ``ClientError`` of it.
  public func error(of answer: StreamedAnswer) async -> ClientError {
    let body = (try? await answer.body.bytes(upTo: 1 << 20)) ?? []
    return Self.error(of: APIAnswer(status: answer.status, headers: answer.headers, body: body))
  }

  /// The error of an answer: its problem document, or one made from the bare status.
  static func error(of answer: APIAnswer) -> ClientError {
    if (300..<400).contains(answer.status) {
      return .unexpected("the coordinator redirects (\(answer.status)); give the final address as url")
    }
    var problem =
      (try? JSONParser.parse(answer.body)).flatMap { Problem(status: answer.status, json: $0) }
      ?? Problem(answer.status, "http_\(answer.status)", "the coordinator answered with status \(answer.status)")
    problem.retryAfter = answer.headers.integer("Retry-After").map { Int(clamping: $0) }
    return .problem(problem)
  }

  /// What broke, in words without any of the request's headers. Cancellation stays cancellation.
  func failure(_ error: any Error) throws -> ClientError {
    if let error = error as? ClientError { return error }
    if error is CancellationError || Task.isCancelled { throw CancellationError() }
    // No attempt will mend it.
    if case TLSFailure.setup = error { return .unexpected("\(error)") }
    return .unreachable(url: configuration.url.description, reason: NetworkFailure.describe(error))
  }
}
