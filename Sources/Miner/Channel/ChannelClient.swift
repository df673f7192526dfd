import Clocks
import Cryptography
import Logging
import Marketplace
import Synchronization
import Wire

/// Keeps the miner's channel: connects, greets, renews, reads; and again, with exponential back-off and full jitter.
///
/// Renewals run in a task of their own at high priority: neither log bytes nor commands can hold them up.
struct ChannelClient: Sendable {
  let core: MinerCore
  let connect: MinerConnector
  let clock: any MarketClock
  let backoff: Backoff
  let logger: Logger
  /// For the jitter.
  var random: @Sendable () -> any RandomNumberGenerator = { SecureRandom() }

  /// How long a connection may take to answer `hello`.
  static let greetingTimeout = Seconds(10)

  /// Runs until the task is canceled. Throws ``ChannelRefused`` when the coordinator will not have this miner.
  func run() async throws {
    var attempt = 0
    var hasBeenWelcome = false
    while !Task.isCancelled {
      let end: ChannelEnd?
      do {
        let connection = try await connect()
        let (wasWelcome, reason) = await serve(connection)
        end = reason
        if wasWelcome {
          attempt = 0
          hasBeenWelcome = true
        }
      } catch let error as ChannelOpenError {
        // Once it was welcome, a refusal may be the coordinator's trouble: its jobs go on for as long as their leases.
        guard error.isTransient || hasBeenWelcome else { throw ChannelRefused(error) }
        end = ChannelEnd(code: 1006, reason: error.description)
      }
      if Task.isCancelled { return }
      if let end, !end.mayReconnect { throw ChannelRefused("the coordinator closed the channel: \(end)") }
      var generator = random()
      let wait = delay(attempt, &generator)
      logger.notice(
        "not connected; trying again",
        metadata: [
          "reason": "\(end?.description ?? "the connection was lost")", "wait_ms": "\(wait.milliseconds)",
        ])
      attempt += 1
      try await clock.sleep(for: wait)
    }
  }

  private func delay(_ attempt: Int, _ generator: inout any RandomNumberGenerator) -> Seconds {
    backoff.delay(attempt: attempt, using: &generator)
  }

  /// Serves one connection to its end.
  private func serve(_ connection: any MinerConnection) async -> (wasWelcome: Bool, end: ChannelEnd?) {
    await withTaskCancellationHandler {
      let asked = clock.monotonic
      connection.send(.hello(core.hello()))
      guard let welcome = await greeting(connection) else {
        connection.close()
        return (false, connection.end)
      }
      logger.info("connected", metadata: ["miner": "\(welcome.miner)"])
      core.welcomed(welcome, over: connection, asked: asked)
      await withTaskGroup(of: Void.self) { group in
        group.addTask(priority: .high) { await beat(welcome.heartbeat) }
        while let command = await connection.next() { core.handle(command) }
        group.cancelAll()
      }
      core.disconnected()
      connection.close()
      return (true, connection.end)
    } onCancel: {
      connection.close()
    }
  }

  private func beat(_ interval: Seconds) async {
    let interval = Seconds(milliseconds: max(10, interval.milliseconds))
    while (try? await clock.sleep(for: interval)) != nil { core.heartbeat() }
  }

  /// The answer to `hello`; nil when there is none in time, or another message came first.
  private func greeting(_ connection: any MinerConnection) async -> MinerWelcome? {
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        if (try? await clock.sleep(for: Self.greetingTimeout)) != nil { connection.close() }
      }
      defer { group.cancelAll() }
      switch await connection.next() {
      case .welcome(let welcome): return welcome
      case .error(let code, let message, _):
        logger.error("the coordinator does not take this miner: \(message)", metadata: ["code": "\(code)"])
        return nil
      default: return nil
      }
    }
  }
}

/// The coordinator will not have this miner; coming back as it is makes no sense.
public struct ChannelRefused: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String
  /// Another key is what would help.
  public let concernsKey: Bool

  init(_ description: String) {
    self.description = description
    concernsKey = false
  }

  init(_ error: ChannelOpenError) {
    description = error.description
    concernsKey = if case .refused(401...403, _) = error { true } else { false }
  }
}
