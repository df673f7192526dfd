import AsyncHTTPClient
public import Clocks
import Cryptography
import JSON
import Logging
public import Marketplace
import NIOCore
import NIOHTTP1
import Wire

/// Sends calls: the key, request ids, time-outs, retries, errors as ``ClientError``. One connection pool.
///
/// Call ``shutdown()`` when done with it.
public final class HTTPTransport: Sendable {
  public let configuration: ClientConfiguration
  private let client: HTTPClient

  public init(_ configuration: ClientConfiguration) {
    self.configuration = configuration
    var settings = HTTPClient.Configuration()
    settings.timeout = .init(
      connect: .milliseconds(configuration.connectTimeout.milliseconds),
      read: .milliseconds(configuration.silenceTimeout.milliseconds))
    // Following a redirect would hand the key to whoever is named in it.
    settings.redirectConfiguration = .disallow
    // The retries are ours: a refused connection is told at once.
    settings.connectionPool.retryConnectionEstablishment = false
    client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
  }

  /// Closes all connections; calls under way fail.
  public func shutdown() async { try? await client.shutdown() }

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
    var message = HTTPClientRequest(url: configuration.url.description + request.path.description)
    message.method = HTTPMethod(rawValue: request.method.rawValue)
    message.headers.add(name: "User-Agent", value: configuration.userAgent)
    message.headers.add(name: "X-Request-ID", value: id ?? Hex.encode(SecureRandom.bytes(8)))
    if let key = configuration.apiKey { message.headers.add(name: "X-Api-Key", value: key) }
    if let key = request.idempotencyKey { message.headers.add(name: "Idempotency-Key", value: key) }
    for header in request.headers { message.headers.add(name: header.name, value: header.value) }
    if let body = request.body {
      message.headers.add(name: "Content-Type", value: "application/json")
      message.body = .bytes(body.encoded)
    } else if let upload {
      message.headers.add(name: "Content-Type", value: "application/octet-stream")
      message.body = .stream(upload, length: .known(upload.length))
    }
    let deadline = limit.map { NIODeadline.now() + .milliseconds($0.milliseconds) } ?? .distantFuture
    do {
      let response = try await client.execute(message, deadline: deadline)
      return StreamedAnswer(
        status: Int(response.status.code), headers: AnswerHeaders(response.headers.map { ($0.name, $0.value) }),
        body: AnswerBody(source: response.body, url: configuration.url.description))
    } catch {
      throw try failure(error)
    }
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
    return .unreachable(url: configuration.url.description, reason: NetworkFailure.describe(error))
  }
}
