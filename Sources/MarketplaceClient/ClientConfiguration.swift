public import Clocks
public import Logging
public import Marketplace

/// How a client reaches its coordinator.
public struct ClientConfiguration: Sendable {
  /// Where the coordinator listens. Default `http://localhost:8000`.
  public var url: CoordinatorURL
  /// Sent as `X-Api-Key`. Nil: none; only public routes answer then. Never logged, never part of an error.
  public var apiKey: String?
  /// `User-Agent`. Default `aitbc`.
  public var userAgent: String
  /// How long a connection may take to open. Default 10 s.
  public var connectTimeout: Seconds
  /// How long a connection may be silent while an answer is awaited. Default 60 s.
  public var silenceTimeout: Seconds
  /// How long one call may take with all its retries. Nil, the default: bounded by the retries alone.
  public var callTimeout: Seconds?
  public var retries: RetryPolicy
  /// How many connections may be open at a time; calls beyond that wait. Default 8. Feeds have their own.
  public var maximumConnections: Int
  /// The largest JSON answer taken, in bytes. Default 64 MiB. Downloads stream and have no such limit.
  public var maximumAnswerBytes: Int
  public var clock: any MarketClock
  public var logger: Logger

  public init(url: CoordinatorURL = .localDefault, apiKey: String? = nil) {
    self.url = url
    self.apiKey = apiKey
    userAgent = "aitbc"
    connectTimeout = Seconds(10)
    silenceTimeout = Seconds(60)
    callTimeout = nil
    retries = RetryPolicy()
    maximumConnections = 8
    maximumAnswerBytes = 64 << 20
    clock = SystemClock()
    logger = Logger(label: "aitbc.client")
  }
}
