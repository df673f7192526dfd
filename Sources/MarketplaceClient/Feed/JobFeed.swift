public import Marketplace
public import Wire

/// One thing that happened to a watched job.
public enum JobEvent: Sendable {
  /// A change of state: each once, in order. Those that a snapshot leaves out after a long absence are missing, not
  /// repeated.
  case status(JobStatus)
  /// Latest wins.
  case progress(JobProgress)
  /// Log bytes, of each try and stream contiguous from byte 0.
  case log(LogPiece)
  /// Log bytes that can't be had any more.
  case gap(LogGap)
  /// How the events come at present.
  case connection(FeedConnectionState)
  /// The job's final document; the last event.
  case end(JobSnapshot)
}

public struct LogGap: Hashable, Sendable {
  public var stream: LogStream
  public var tryNumber: Int
  public var range: Range<Int64>
}

public enum FeedConnectionState: Hashable, Sendable {
  case live
  /// The connection is lost; the next attempt is made after `delay`.
  case reconnecting(after: Seconds, reason: String)
  /// A WebSocket can't be had; the job is asked for every 3 s.
  case polling(reason: String)
}

/// How a feed behaves.
public struct FeedOptions: Sendable {
  /// Log lines too. Default false.
  public var wantsLogs = false
  /// Where the logs begin: a try and a byte offset for each stream. Nil: at byte 0 of the try that runs.
  public var logStart: (tryNumber: Int, offsets: [LogStream: Int64])?
  /// How long the coordinator may stay away before the feed fails. Default 10 min.
  public var patience = Seconds(600)
  /// Between polls. Default 3 s.
  public var pollInterval = Seconds(3)
  public var backoff = Backoff.reconnect

  public init() {}
}

/// The life of one job, live, until it has ended: reconnects and resumes by itself, fills gaps over REST, polls where no
/// WebSocket can be had. Pull-based: nothing is read ahead of the consumer.
///
/// Iterating throws ``ClientError`` (the job is not there, the key is wrong, the coordinator stayed away too long) or
/// `CancellationError`.
public struct JobFeed: AsyncSequence, Sendable {
  public typealias Element = JobEvent

  private let client: MarketplaceClient
  private let job: String
  private let options: FeedOptions
  private let connector: FeedConnector

  public init(
    _ client: MarketplaceClient, job: String, options: FeedOptions = FeedOptions(), connector: @escaping FeedConnector
  ) {
    self.client = client
    self.job = job
    self.options = options
    self.connector = connector
  }

  public func makeAsyncIterator() -> Iterator {
    Iterator(driver: FeedDriver(client, job: job, options: options, connector: connector))
  }

  public struct Iterator: AsyncIteratorProtocol {
    let driver: FeedDriver

    public mutating func next() async throws -> JobEvent? { try await driver.next() }
  }
}
