public import Clocks
public import JSON
public import Marketplace
import NIOCore
public import Store
import Synchronization
public import WebSocketTransport
public import Wire

/// Hands what happens to everyone who watches. A topic (an account, a job, the market) is a bounded run of messages
/// that are encoded once; a reader is a cursor into it. Publishing costs the same for one reader and for ten thousand:
/// append, and one task for each event loop that has readers.
public final class PushHub: Sendable {
  public let limits: FeedLimits
  let source: any FeedSource
  let clock: any MarketClock
  let admission: FeedAdmission
  private let state: Mutex<HubState>
  private let random: @Sendable (ClosedRange<Int64>) -> Int64

  /// - Parameters:
  ///   - lastSequence: the store's last sequence, read before its event handler is set.
  ///   - random: spreads reconnects after a graceful stop.
  public init(
    source: any FeedSource, clock: any MarketClock, lastSequence: Int64, limits: FeedLimits = FeedLimits(),
    random: @escaping @Sendable (ClosedRange<Int64>) -> Int64 = { .random(in: $0) }
  ) {
    self.source = source
    self.clock = clock
    self.limits = limits
    self.random = random
    admission = FeedAdmission(limits: limits)
    state = Mutex(HubState(limits: limits, published: lastSequence))
  }

  // MARK: Sessions

  /// Counts a feed that is about to be opened. Throws ``FeedRefusal``: answer 429.
  /// - Parameters:
  ///   - address: the peer's address without the port; nil is not counted.
  ///   - account: nil when the key comes later, in an `auth` message.
  public func admit(address: String?, account: AccountID?) throws(FeedRefusal) -> FeedTicket {
    try admission.admit(address: address, account: account)
  }

  /// What serves one connection. Make it on the connection's event loop.
  /// - Parameters:
  ///   - account: nil: only market figures until an `auth` message. For a job's feed the caller has checked that the
  ///     job is the account's.
  ///   - resume: from the URL; nil: begin with a snapshot.
  ///   - keyHash: of the key that the handshake carried, for ``revoke(keyHash:)``.
  public func session(
    scope: FeedScope, account: AccountID?, resume: FeedResume?, ticket: FeedTicket, keyHash: String? = nil
  ) -> any WebSocketSession {
    let session = FeedSession(hub: self, scope: scope, account: account, resume: resume, ticket: ticket)
    session.keyHash = keyHash
    return session
  }

  /// Closes the feeds that a key opened (4501); feeds whose handshake is still under way are closed as they open.
  public func revoke(keyHash: String) {
    let loops = withState { state in
      state.revoked.insert(keyHash)
      return state.loops
    }
    for loop in loops { loop.revokeSoon(keyHash) }
  }

  // MARK: Publishing

  /// Durable events, after their commit and in order of sequence. Call from one thread: the store's writer. Never
  /// blocks on a reader.
  public func publish(events: [JobEvent]) {
    let wanted = withState { state in events.map { state.hasReaders(account: $0.account, job: $0.job) } }
    // Encoded outside the lock; a reader that joined meanwhile has its event encoded inside.
    let frames = zip(events, wanted).map { $1 ? FeedEncoder.frame(of: $0, epoch: source.epoch) : nil }
    withState { state in
      for (event, frame) in zip(events, frames) {
        state.append(
          sequence: event.sequence, account: event.account, job: event.job, isEnd: event.state.isTerminal
        ) { frame ?? FeedEncoder.frame(of: event, epoch: source.epoch) }
      }
    }
  }

  /// Progress of a running job; the latest wins, at most one in ``FeedLimits/progressInterval``. From any thread.
  public func publish(progress: JobProgress, account: AccountID) {
    guard let job = JobID(progress.job) else { return }
    withState { state in
      guard state.hasReaders(account: account, job: job) else { return }
      state.progress.offer((account, progress), for: job)
    }
    setTimer()
  }

  /// The public figures, without `type`; the latest wins, at most one in ``FeedLimits/marketInterval``.
  public func publish(market figures: JSONObject) {
    withState { $0.market.offer(.market(figures), for: .market) }
    setTimer()
  }

  /// `length` bytes of a try's log can be read now. From any thread.
  public func logGrew(job: JobID, tryNumber: Int, stream: LogStream, length: Int64) {
    withState { $0.merge(job, tryNumber: tryNumber, stream: stream, length: length, fact: nil) }
  }

  /// A try's log is whole. From any thread, at or after the commit that says so.
  public func logEnded(job: JobID, tryNumber: Int, stream: LogStream, fact: LogFact) {
    withState { $0.merge(job, tryNumber: tryNumber, stream: stream, length: fact.length, fact: fact) }
  }

  // MARK: Running

  /// Watches for slow readers until the task is canceled. Run one for the life of the hub.
  public func run() async throws {
    while true {
      try await clock.sleep(for: Seconds(1))
      for loop in withState({ $0.loops }) { loop.sweepSoon() }
    }
  }

  /// Tells every client to come back later (1012), spread over ``FeedLimits/restartSpread``; feeds opened from now on
  /// are told the same. Nothing is lost: clients resume.
  public func shutdown() {
    let loops = withState { state in
      state.isStopping = true
      return state.loops
    }
    for loop in loops { loop.stopSoon() }
  }

  /// What the hub holds, for metrics.
  public struct Statistics: Hashable, Sendable {
    /// Accounts and jobs that are watched, and the market.
    public var topics: Int
    /// Readers closed with 4008 since the start.
    public var slowClosed: Int
  }

  public var statistics: Statistics {
    withState { Statistics(topics: $0.topics.count, slowClosed: $0.slowClosed) }
  }

  // MARK: For sessions

  var isStopping: Bool { withState { $0.isStopping } }

  /// The reason that goes with 1012.
  var restartReason: String {
    "reconnect_after_ms=\(random(0...max(0, limits.restartSpread.milliseconds)))"
  }

  /// Runs `body` under the lock and wakes the loops that it gave work.
  @discardableResult
  func withState<Value: Sendable>(_ body: (inout HubState) -> Value) -> Value {
    let (value, wakes) = state.withLock { state in (body(&state), state.takeWakes()) }
    for loop in wakes { loop.flushSoon() }
    return value
  }

  /// The part of the hub that lives on an event loop; made when first asked for.
  func part(for eventLoop: any EventLoop) -> LoopHub {
    withState { state in
      if let known = state.loops.first(where: { $0.eventLoop === eventLoop }) { return known }
      let made = LoopHub(hub: self, eventLoop: eventLoop, index: state.loops.count)
      state.add(made)
      return made
    }
  }
}
