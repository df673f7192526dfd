import Clocks
import Cryptography
import JSON
import Logging
import Marketplace
import Wire

/// Drives one ``JobFeed``: asks for the document, holds the socket, polls, drains the logs. Every step does one piece of
/// I/O and puts what it learnt into ``queue``.
actor FeedDriver {
  enum Phase {
    case document
    case connect
    case live(any FeedConnection)
    case polling(round: Int)
    /// The job has ended: what is left of the logs, then the final document.
    case draining([LogStream])
    case finished
  }

  let client: MarketplaceClient
  let job: String
  let options: FeedOptions
  let connector: FeedConnector
  var phase = Phase.document
  var queue: [JobEvent] = []
  var reducer: FeedReducer
  var logs = LogAssembler()
  /// Pieces that wait for bytes before them.
  var waiting: [LogPiece] = []
  private var failures = 0
  private var failingSince: MonotonicTime?

  init(_ client: MarketplaceClient, job: String, options: FeedOptions, connector: @escaping FeedConnector) {
    self.client = client
    self.job = job
    self.options = options
    self.connector = connector
    reducer = FeedReducer(job: job)
    if let start = options.logStart { logs = LogAssembler(tryNumber: start.tryNumber, offsets: start.offsets) }
  }

  var clock: any MarketClock { client.transport.clock }

  func next() async throws -> JobEvent? {
    do {
      while queue.isEmpty {
        if case .finished = phase { return nil }
        try Task.checkCancellation()
        try await advance()
      }
      return queue.removeFirst()
    } catch {
      await leave()
      throw error
    }
  }

  /// Closes the socket, if there is one, and ends the sequence.
  private func leave() async {
    if case .live(let connection) = phase { await connection.close() }
    phase = .finished
  }

  private func advance() async throws {
    if !waiting.isEmpty { return try await resolveLog() }
    switch phase {
    case .document: try await begin()
    case .connect: try await connect()
    case .live(let connection): try await receive(connection)
    case .polling(let round): try await poll(round)
    case .draining(let streams): try await drain(streams)
    case .finished: break
    }
  }

  private func begin() async throws {
    phase = .connect
    try await handle(reducer.take(try await client.job(job)))
  }

  private func connect() async throws {
    var query: [(String, String?)] = []
    if let point = reducer.resumePoint { query = [("after", String(point.after)), ("epoch", point.epoch)] }
    do {
      let connection = try await connector(APIPath(v1: ["jobs", job, "ws"], query: query))
      phase = .live(connection)
      if options.wantsLogs {
        try await connection.send(FeedCommand.subscribe(job: job, logs: true, offsets: logs.offsets).json.text)
      }
      queue.append(.connection(.live))
    } catch FeedConnectionError.refused(let error) {
      switch error.status ?? 0 {
      case 401, 403, 404, 410: throw error
      case 429, 503: try await retryLater(error)
      default: startPolling(String(describing: error))
      }
    } catch FeedConnectionError.unreachable(let reason) {
      try await retryLater(.unreachable(url: client.configuration.url.description, reason: reason))
    }
  }

  private func receive(_ connection: any FeedConnection) async throws {
    switch try await connection.receive() {
    case .text(let text):
      guard let json = try? JSONParser.parse(text), let message = try? FeedMessage(json: json) else {
        client.transport.logger.debug("a feed message that this version does not know was left out")
        return
      }
      failures = 0
      failingSince = nil
      try await handle(reducer.take(message))
    case .closed(let code, let reason):
      phase = .connect
      switch FeedCloseAction(code: code) {
      case .reconnect:
        let text = "the feed was closed (\(code)\(reason.isEmpty ? "" : " " + reason))"
        try await retryLater(
          .unreachable(url: client.configuration.url.description, reason: text),
          after: RestartHint.delay(code: code, reason: reason))
      case .giveUp: startPolling("the feed was closed (\(code)\(reason.isEmpty ? "" : " " + reason))")
      }
    }
  }

  private func handle(_ outputs: [FeedReducer.Output]) async throws {
    for output in outputs {
      switch output {
      case .status(let status): queue.append(.status(status))
      case .progress(let progress): queue.append(.progress(progress))
      case .log(let piece): if options.wantsLogs { waiting.append(piece) }
      case .ended:
        if case .live(let connection) = phase { await connection.close() }
        phase = .draining(options.wantsLogs && reducer.tryNumber > 0 ? [.stdout, .stderr] : [])
      case .refetch: try await handle(reducer.take(try await client.job(job)))
      case .reconnect:
        if case .live(let connection) = phase { await connection.close() }
        reducer.forgetPlace()
        phase = .connect
      case .refused(let code, let text):
        client.transport.logger.warning("the feed says \(code): \(text)")
      }
    }
  }

  private func startPolling(_ reason: String) {
    phase = .polling(round: 0)
    queue.append(.connection(.polling(reason: reason)))
  }

  /// Waits before the next attempt, as long as the coordinator asked or else with growing jitter; gives up when it
  /// stayed away too long.
  private func retryLater(_ error: ClientError, after asked: Seconds? = nil) async throws {
    let now = clock.monotonic
    let since = failingSince ?? now
    failingSince = since
    guard now - since < options.patience else { throw error }
    var generator = SecureRandom()
    let delay = asked ?? options.backoff.delay(attempt: failures, using: &generator)
    failures += 1
    queue.append(.connection(.reconnecting(after: delay, reason: String(describing: error))))
    try await clock.sleep(for: delay)
  }

  /// One look at the job over REST; every tenth time the socket is tried again.
  private func poll(_ round: Int) async throws {
    try await clock.sleep(for: options.pollInterval)
    do {
      let document = try await client.job(job)
      failures = 0
      failingSince = nil
      phase = round == 9 ? .connect : .polling(round: round + 1)
      try await handle(reducer.take(document))
      if options.wantsLogs, case .polling = phase { try await pollLogs() }
    } catch let error as ClientError where RetryPolicy.isTransient(error) {
      try await retryLater(error)
    }
  }

  private func pollLogs() async throws {
    for stream in LogStream.allCases where reducer.tryNumber > 0 {
      _ = try await fetch(stream, reducer.tryNumber, from: logs.offset(of: stream, in: reducer.tryNumber))
    }
  }
}
