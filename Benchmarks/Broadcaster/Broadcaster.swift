import ArgumentParser
import Clocks
import Coordinator
import Marketplace
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import WebSocket
import WebSocketTransport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Sends messages to everyone who connects, through the coordinator's own push hub and WebSocket endpoint. For
/// `make bench-push`; not shipped.
@main
struct Broadcaster: AsyncParsableCommand {
  enum Mode: String, ExpressibleByArgument {
    /// Nothing is published.
    case idle
    /// So many bursts a second.
    case rate
    /// The next burst as soon as every reader has taken what came before, but for 64 KiB.
    case max
  }

  static let configuration = CommandConfiguration(
    commandName: "push-broadcaster", abstract: "Broadcasts messages over the push hub, for benchmarks.")

  @Option(help: "Listen on this port; 0 takes a free one.") var port = 0
  @Option(help: "idle, rate, or max.") var mode = Mode.idle
  @Option(help: "Bursts a second, with --mode rate.") var rate = 10.0
  @Option(help: "Messages in a burst.") var burst = 1
  @Option(help: "Bytes of a message.") var size = 200
  @Option(help: "Begin when so many readers are there.") var startAt = 1
  @Option(help: "Publish for so many seconds; 0: without end.") var seconds = 0.0
  @Option(help: "Events a reader may lag behind.") var eventsBehind = 10_000
  @Option(help: "Seconds in which a reader's socket may take nothing.") var unwritable = 30
  @Flag(help: "Accept permessage-deflate.") var deflate = false
  @Flag(help: "Leave connections on NIO's channels.") var onChannels = false

  func validate() throws {
    guard size >= Message.minimumSize else {
      throw ValidationError("--size must be at least \(Message.minimumSize).")
    }
  }

  func run() async throws {
    OpenFiles.raiseLimit()
    let stage = Stage(limits: limits)
    var settings = WebSocketConfiguration()
    settings.compression = deflate ? DeflateConfiguration() : nil
    settings.limits.maximumMessageSize = stage.hub.limits.messageSize
    settings.leavesChannel = !onChannels
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let server = try await WebSocketServer.bind(
      port: port, eventLoopGroup: group, configuration: settings
    ) { head, channel in channel.eventLoop.makeCompletedFuture { try stage.admit(target: head.uri) } }
    print("listening on ws://127.0.0.1:\(server.port)")
    fflush(nil)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await stage.hub.run() }
      group.addTask { try await drive(stage) }
      group.addTask { try await report(stage) }
      try await group.waitForAll()
    }
  }

  private var limits: FeedLimits {
    var limits = FeedLimits()
    limits.connectionsPerAccount = .max
    limits.connectionsPerAddress = .max
    limits.eventsBehind = eventsBehind
    limits.unwritable = Seconds(Int64(unwritable))
    return limits
  }

  // MARK: Publishing

  private func drive(_ stage: Stage) async throws {
    guard mode != .idle else { return }
    let clock = SystemClock()
    while stage.opened < startAt { try await clock.sleep(for: Seconds(milliseconds: 20)) }
    let end = seconds > 0 ? NIODeadline.now() + .nanoseconds(Int64(seconds * 1e9)) : .distantFuture
    let driver = Driver(stage: stage, burst: burst, size: size, end: end)
    guard let loop = stage.hub.eventLoops.first else { return }
    switch mode {
    case .idle: break
    case .rate: driver.startRate(on: loop, every: .nanoseconds(Int64(1e9 / rate)))
    case .max: loop.execute { driver.publishWhenTaken(on: loop) }
    }
  }

  /// One line of JSON when the number of readers closed as slow has changed.
  private func report(_ stage: Stage) async throws {
    let clock = SystemClock()
    var told = 0
    while true {
      try await clock.sleep(for: Seconds(milliseconds: 200))
      let slow = stage.hub.statistics.slowClosed
      guard slow != told else { continue }
      told = slow
      print("{\"slow_closed\":\(slow),\"published\":\(stage.published)}")
      fflush(nil)
    }
  }
}
