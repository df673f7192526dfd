public import Marketplace

/// Everything that can be set about a coordinator. Every limit is here.
public struct CoordinatorConfiguration: Sendable {
  /// Address to listen on. Default 127.0.0.1.
  public var host = "127.0.0.1"
  /// Port to listen on; 0 takes a free one. Default 8000.
  public var port = 8000
  /// Database and files. Made when it is not there. Default `data`.
  public var dataDirectory = "data"
  /// Signing keys and first-run API keys. Made when it is not there. Default `keys`.
  public var keysDirectory = "keys"
  /// The browser pages. Nil: `web-static` beside the working directory or the executable, when it is there.
  public var webDirectory: String?
  /// The address that links name, such as `https://market.example.org`. Nil: taken from each request's `Host`.
  public var publicURL: String?
  /// Further `Host` and `Origin` names that browsers may use, such as `market.example.org`.
  public var allowedHosts: [String] = []

  /// How long a miner keeps a job without a sign of life. Default 15 s.
  public var leaseTerm = Seconds(15)
  /// How long a miner that speaks REST keeps a job without a sign of life: 30 s by default, AITBC's own number.
  public var restLeaseTerm: Seconds { DispatchState.restTerm(leaseTerm) }
  /// The market's share of every charge. Default: none.
  public var fee = FeeRate.none
  /// How often miners are told to renew. A third of the lease leaves room for two lost messages.
  public var heartbeat: Seconds { Seconds(milliseconds: max(200, leaseTerm.milliseconds / 5)) }

  /// Jobs of one account that miners may hold at once. Nil: what its plan says.
  public var runningLimit: Int?
  /// Jobs that one `POST /v1/jobs:cancel` touches at most. Default 10,000.
  public var bulkCancelLimit = 10_000
  /// How often a WebSocket is pinged. Default 25 s.
  public var pingInterval = Seconds(25)
  /// How long a WebSocket's peer may stay silent after a ping; then it is dropped. Default 10 s.
  public var pongTimeout = Seconds(10)
  /// Requests in a second from one key, or from one address without a key; 0: no limit. Default 10,000.
  public var rateLimit: Int64 = 10_000

  /// Largest JSON body of one request. Default 2 MiB.
  public var bodyLimit = 2 * 1024 * 1024
  /// Largest body of a batch. Default 32 MiB.
  public var batchBodyLimit = 32 * 1024 * 1024
  /// Jobs in one batch. Default 1,000.
  public var batchLimit = 1_000
  /// Largest input blob and artifact. Default 1 TiB.
  public var fileLimit: Int64 = 1 << 40
  /// Artifacts of one try. Default 100,000.
  public var artifactLimit = 100_000
  /// Largest result that travels in a miner's report. Default 1 MiB.
  public var inlineResultLimit = 1024 * 1024
  /// Free space under which no new work is taken (507). Default 256 MiB.
  public var diskFloor: Int64 = 256 * 1024 * 1024
  /// Space kept back, so that cancels, the end of leases and the end of running jobs find room on a full disk. 0 keeps
  /// none. Default 64 MiB; never more than ``diskFloor``.
  public var diskReserve: Int64 = 64 * 1024 * 1024
  /// Longest request target (path and query). Default 8 KiB; longer ones get 414.
  public var targetLimit = 8 * 1024
  /// Bytes of a refused request's body that are still read, so that its sender gets to the answer. Default 64 MiB; more
  /// cuts the connection.
  public var drainLimit = 64 * 1024 * 1024
  /// How long that may take. Default 10 s.
  public var drainTimeout = Seconds(10)
  /// Open HTTP connections at once, and open WebSockets at once. Default 12,000 of each. Past it connections wait to be
  /// accepted; WebSockets get 503.
  public var connectionLimit = 12_000
  /// Bounds of live feeds.
  public var feeds = FeedLimits()
  /// How long a stop waits for requests under way; then they are cut. Default 10 s.
  public var stopTimeout = Seconds(10)
  /// An HTTP connection that says nothing, or takes nothing of an answer, is closed after this. Default 75 s.
  public var idleTimeout = Seconds(75)
  /// How long an idempotency key's answer is kept. Default 24 h.
  public var idempotencyTerm = Seconds(86_400)

  /// How far the coordinator's wall clock runs ahead of the machine's; for tests of what takes days. Default 0.
  public var clockOffset = Seconds(0)

  public init() {}
}
