public import Marketplace

/// Bounds of the live feed. Each is documented in `docs/protocol.md` under the same name.
public struct FeedLimits: Hashable, Sendable {
  // MARK: What a client may do

  /// Open feeds of one account. Default 100. At admission: 429; after an `auth` message: close 4030.
  public var connectionsPerAccount = 100
  /// Open feeds from one remote address. Default 100. At admission: 429.
  public var connectionsPerAddress = 100
  /// Jobs whose logs one connection follows. Default 100. Past it: an `error` message.
  public var subscriptions = 100
  /// Messages a client may send in a second, counted from the first of them. Default 50. Past it: close 4029.
  public var messagesPerSecond = 50
  /// Bytes of one message from a client. Default 64 KiB. Past it: close 1009.
  public var messageSize = 64 << 10
  /// Messages of one connection that are no command. Default 10: each gets an `error`; the next one closes with 4500.
  public var malformedMessages = 10

  // MARK: What a slow reader may cost

  /// Durable events that a reader may lag behind what was published since it joined. Default 10,000. Past it: 4008.
  public var eventsBehind = 10_000
  /// How long a reader's socket may take nothing. Default 30 s. Past it: 4008.
  public var unwritable = Seconds(30)
  /// Events that a topic keeps in memory. Default 1,024; older ones are read from the store again.
  public var runEvents = 1024
  /// Bytes of events that a topic keeps in memory. Default 1 MiB.
  public var runBytes = 1 << 20
  /// Bytes given to one socket before it is asked again whether it takes more. Default 64 KiB.
  public var batchBytes = 64 << 10
  /// Events read from the store at a time. Default 256.
  public var historyPage = 256
  /// Pages of history that are read at the same time for the readers of one event loop. Default 16; more wait.
  public var historyReads = 16
  /// Bytes of log in one message. Default 64 KiB; at least 4, so that any character fits.
  public var logPiece = 64 << 10

  // MARK: Pace

  /// Shortest time between two progress messages of one job. Default 100 ms.
  public var progressInterval = Seconds(milliseconds: 100)
  /// Progress of all jobs is gathered for this long, so that a reader of many jobs gets it in one write. Default 25 ms.
  public var progressTick = Seconds(milliseconds: 25)
  /// Shortest time between two market messages. Default 1 s.
  public var marketInterval = Seconds(1)
  /// A job's feed stays open at least this long, so that a `subscribe` sent behind the handshake is heard even when the
  /// job has ended already. Default 1 s.
  public var endLinger = Seconds(1)
  /// On a graceful stop clients are told to come back spread over this time. Default 10 s.
  public var restartSpread = Seconds(10)

  public init() {}
}
