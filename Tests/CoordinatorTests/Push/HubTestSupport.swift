import Clocks
import JSON
import Marketplace
import NIOCore
import NIOHTTP1
import NIOPosix
import Store
import Synchronization
import WebSocket
import WebSocketTransport
import Wire

@testable import Coordinator

/// A hub behind a real server on a free port, over a store in memory.
struct HubFixture: Sendable {
  let store: TestSource
  let hub: PushHub
  let server: WebSocketServer

  /// Runs `body` and takes everything down again. Paths: `/account` or `/job`, then `?key` as in a checked header.
  static func run(
    limits: FeedLimits = FeedLimits(), clock: any MarketClock = SystemClock(),
    _ body: (HubFixture) async throws -> Void
  ) async throws {
    let source = TestSource()
    let hub = PushHub(source: source, clock: clock, lastSequence: 0, limits: limits, random: { $0.upperBound })
    var configuration = WebSocketConfiguration()
    configuration.limits.maximumMessageSize = limits.messageSize
    // A slow reader on a busy machine still gets the close frame.
    configuration.closeTimeout = .seconds(60)
    let server = try await WebSocketServer.bind(
      port: 0, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration
    ) { head, channel in
      channel.eventLoop.makeCompletedFuture {
        let ticket = try hub.admit(address: "peer", account: nil)
        let scope: FeedScope = head.uri.hasPrefix("/job") ? .job(Known.job(1)) : .account
        let account = head.uri.contains("?key") ? Known.account : nil
        let resume = head.uri.split(separator: "=").last.flatMap { Int64($0) }
        return .accept(session: {
          hub.session(
            scope: scope, account: account, resume: resume.map { FeedResume(epoch: "epoch-1", after: $0) },
            ticket: ticket)
        })
      }
    }
    let fixture = HubFixture(store: source, hub: hub, server: server)
    do {
      try await body(fixture)
    } catch {
      await server.shutdown()
      throw error
    }
    await server.shutdown()
  }

  /// - isLazy: reads nothing that was not asked for, and takes no compression, so that bytes pile up soon.
  func client(_ path: String, isLazy: Bool = false) async throws -> FeedClient {
    var configuration = WebSocketClientConfiguration()
    if isLazy { configuration.connection.compression = nil }
    let stream = try await WebSocketStream.connect(
      url: "ws://127.0.0.1:\(server.port)\(path)", configuration: configuration,
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, capacity: isLazy ? 1 : 64)
    return FeedClient(stream: stream, iterator: stream.makeAsyncIterator())
  }

  /// Commits and publishes, as the store's writer does.
  @discardableResult
  func change(_ changes: (JobID, JobState)..., padding: Int = 0) -> [JobEvent] {
    let events = store.commit(changes, padding: padding)
    hub.publish(events: events)
    return events
  }

  func progress(_ percent: Int, job: JobID = Known.job(1)) {
    hub.publish(
      progress: JobProgress(
        job: job.rawValue, status: .running, attempt: 1, tryNumber: 1, progress: percent, message: nil,
        estimatedCompletion: nil, at: Timestamp(milliseconds: 0)), account: Known.account)
  }

  /// Returns when every event loop has had a turn.
  func turn() async {
    for loop in hub.eventLoops { try? await loop.submit {}.get() }
    for loop in MultiThreadedEventLoopGroup.singleton.makeIterator() { try? await loop.submit {}.get() }
  }

  /// Returns when all readers are in step.
  func inStep() async throws {
    while true {
      var apart = 0
      for loop in hub.eventLoops { apart += try await loop.submit { hub.readersApart(on: loop) }.get() }
      if apart == 0 { return }
      await Task.yield()
    }
  }

  func log(_ text: String, tryNumber: Int = 1, stream: LogStream = .stdout, job: JobID = Known.job(1)) {
    let length = store.state.withLock { state in
      state.logs[TestSource.key(job, tryNumber, stream), default: []] += Array(text.utf8)
      return state.logs[TestSource.key(job, tryNumber, stream)]?.count ?? 0
    }
    hub.logGrew(job: job, tryNumber: tryNumber, stream: stream, length: Int64(length))
  }

  func endLogs(tryNumber: Int = 1, job: JobID = Known.job(1)) {
    for stream in LogStream.allCases {
      let key = TestSource.key(job, tryNumber, stream)
      let fact = store.state.withLock { state in
        let fact = logFact(of: state.logs[key] ?? [])
        state.facts[key] = fact
        return fact
      }
      hub.logEnded(job: job, tryNumber: tryNumber, stream: stream, fact: fact)
    }
  }
}

/// The other end.
struct FeedClient {
  let stream: WebSocketStream
  var iterator: WebSocketStream.AsyncIterator

  /// The next message; nil when the feed was closed.
  mutating func next() async throws -> FeedMessage? {
    guard case .text(let text) = await iterator.next() else { return nil }
    return try FeedMessage(json: JSONParser.parse(text))
  }

  /// Everything up to the close.
  mutating func rest() async throws -> [FeedMessage] {
    var messages: [FeedMessage] = []
    while let message = try await next() { messages.append(message) }
    return messages
  }

  mutating func skip(to wanted: (FeedMessage) -> Bool) async throws -> FeedMessage? {
    while let message = try await next() { if wanted(message) { return message } }
    return nil
  }

  func send(_ command: FeedCommand) async throws { try await stream.send(text: command.json.text) }

  var closeCode: UInt16? { stream.closeReason?.code.rawValue }
}

extension FeedMessage {
  /// `status` and `end` with their sequence, others by type.
  var summary: String {
    switch self {
    case .status(let status): "\(status.isEnd ? "end" : "status") \(status.sequence) \(status.status.rawValue)"
    case .snapshot(_, let sequence, let jobs, _): "snapshot \(sequence) \(jobs.count)"
    case .progress(let progress): "progress \(progress.progress)"
    case .log(let piece):
      "log \(piece.tryNumber) \(piece.stream.rawValue) \(piece.offset) \(String(decoding: piece.data, as: UTF8.self))"
        + (piece.end == nil ? "" : " eof")
    case .error(let code, _): "error \(code)"
    case .market: "market"
    case .reset(_, let sequence): "reset \(sequence)"
    case .pong: "pong"
    }
  }

  var sequence: Int64? { if case .status(let status) = self { status.sequence } else { nil } }
}
