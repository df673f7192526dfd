import Clocks
import JSON
import Marketplace
import Store
import Synchronization
import Testing
import TestRandomness
import WebSocket
import Wire

@testable import Coordinator
@testable import MarketplaceClient

/// A stream that is cut at any octet loses nothing and repeats nothing: the client's state, the server's feed machine
/// and both ends of the WebSocket, in one thread. 10,000 cuts in all.
@Suite struct CutTests {
  /// The client's end of one connection.
  private final class Socket {
    var machine: ConnectionMachine
    var messages: [FeedMessage] = []
    var closed: CloseStatus?

    init(deflate: DeflateAgreement?) {
      machine = ConnectionMachine(
        role: .client, deflate: deflate, pool: DeflatePool(), maskingKeys: { MaskingKey(0x1234_5678) })
    }

    func receive(_ octets: ArraySlice<UInt8>) throws {
      var events: [Event] = []
      octets.withUnsafeBytes { raw in
        var input = raw
        while let event = machine.next(&input, at: 0) { events.append(event) }
      }
      for event in events {
        switch event {
        case .text(let text): messages.append(try FeedMessage(json: JSONParser.parse(text)))
        case .close(let status, _): closed = status
        default: Issue.record("not a feed's: \(event)")
        }
      }
    }

    func send(_ command: FeedCommand) -> [UInt8] { machine.send(.text, command.json.encoded) ?? [] }
  }

  private static func agreement(_ random: inout SeededGenerator) -> DeflateAgreement? {
    switch Int.random(in: 0..<3, using: &random) {
    case 0: nil
    case 1: DeflateAgreement(serverNoContextTakeover: true, clientNoContextTakeover: true)
    default: DeflateAgreement(serverMaxWindowBits: Int.random(in: 9...15, using: &random))
    }
  }

  /// Until one octet too many would pass: lets the market, the store's reads and the network take turns.
  /// Returns whether the stream was cut; false: the feed closed before.
  private func connection(
    _ feed: VirtualFeed, _ socket: Socket, upload: [UInt8], cutAfter limit: Int, random: inout SeededGenerator,
    market: (inout SeededGenerator) -> Void
  ) async throws -> Bool {
    feed.start()
    var upload = upload[...]
    var delivered = 0
    while socket.closed == nil {
      feed.now = feed.now + Seconds(milliseconds: 20)
      feed.sweep()
      if !upload.isEmpty {
        // The client's octets may be cut off too.
        let count = Int.random(in: 1...upload.count, using: &random)
        try feed.receive(Array(upload.prefix(count)))
        upload = upload.dropFirst(count)
      }
      if random.chance(percent: 40) { market(&random) }
      if random.chance(percent: 70) { try await feed.read() }
      let waiting = feed.sent.count - delivered
      if waiting > 0, random.chance(percent: 80) {
        let count = min(Int.random(in: 1...waiting, using: &random), limit - delivered)
        try socket.receive(feed.sent[delivered..<(delivered + count)])
        delivered += count
        if delivered == limit { return true }
      } else if waiting == 0, !feed.hasReads, upload.isEmpty {
        market(&random)
      }
    }
    return false
  }

  /// An account's feed: 20 jobs change, the client goes on from the last sequence that it has.
  @Test(arguments: UInt64(1)...20)
  func anAccountsFeed(seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    let topic = VirtualTopic(runEvents: 8)
    var position: FeedResume?
    var seen: [Int64] = []
    var baseline: Int64?
    var cuts = 0
    while cuts < 300 {
      let deflate = Self.agreement(&random)
      let feed = VirtualFeed(
        topic, scope: .account, resume: position, deflate: deflate, now: MonotonicTime(milliseconds: 0))
      topic.open(feed, forgets: random.chance(percent: 50), runEvents: 8)
      let socket = Socket(deflate: deflate)
      let isCut = try await connection(
        feed, socket, upload: [], cutAfter: Int.random(in: 1...2500, using: &random), random: &random
      ) { random in
        topic.change(
          Known.job(UInt64.random(in: 1...20, using: &random)),
          JobState.allCases.randomElement(using: &random) ?? .running)
      }
      #expect(isCut, "seed \(seed)")
      cuts += 1
      for message in socket.messages {
        switch message {
        case .status(let status): seen.append(status.sequence)
        case .snapshot(_, let sequence, _, _):
          #expect(baseline == nil, "a resume got a snapshot, seed \(seed)")
          baseline = sequence
        default: Issue.record("\(message.summary), seed \(seed)")
        }
        if let last = seen.last ?? baseline { position = FeedResume(epoch: topic.source.epoch, after: last) }
      }
      // In between things happen that only the store remembers.
      for _ in 0..<Int.random(in: 0...6, using: &random) { topic.change(Known.job(1), .running) }
    }
    let first = try #require(baseline)
    let last = seen.last ?? first
    #expect(seen == Array((first + 1)..<(last + 1)), "seed \(seed)")
    #expect(seen.count > 300, "seed \(seed)")
  }

  /// A job's feed with its logs, through the client's own reducer and log assembler, to the job's end.
  @Test(arguments: UInt64(1)...40)
  func aJobsFeedWithLogs(seed: UInt64) async throws {
    var random = SeededGenerator(seed: 1000 + seed)
    let job = Known.job(1)
    let topic = VirtualTopic(runEvents: 4)
    topic.change(job, .pending)
    var reducer = FeedReducer(job: job.rawValue)
    var logs = LogAssembler()
    var states: [Int64: JobState] = [:]
    var written: [LogStream: [UInt8]] = [:]
    var cuts = 0
    var isOver = false
    var hasEnded = false
    while !isOver {
      let deflate = Self.agreement(&random)
      let resume = reducer.resumePoint.map { FeedResume(epoch: $0.epoch, after: $0.after) }
      let feed = VirtualFeed(
        topic, scope: .job(job), resume: resume, deflate: deflate, now: MonotonicTime(milliseconds: 0))
      topic.open(feed, forgets: random.chance(percent: 50), runEvents: 4)
      let socket = Socket(deflate: deflate)
      let upload = socket.send(.subscribe(job: job.rawValue, logs: true, offsets: logs.offsets))
      let mustEnd = cuts >= 100
      let isCut = try await connection(
        feed, socket, upload: upload, cutAfter: mustEnd ? .max : Int.random(in: 1...900, using: &random),
        random: &random
      ) { random in
        if mustEnd {
          guard !hasEnded else { return }
          hasEnded = true
          topic.endLogs(of: job)
          topic.change(job, .completed)
        } else if random.chance(percent: 40) {
          topic.change(job, [.assigned, .running, .canceling].randomElement(using: &random) ?? .running)
        } else {
          let stream = random.chance(percent: 60) ? LogStream.stdout : .stderr
          topic.log(Array("line \(UInt16.random(in: 0...9999, using: &random)) é汉🧪\n".utf8), stream, of: job)
        }
      }
      if isCut { cuts += 1 } else { isOver = true }
      for message in socket.messages {
        if case .log(let piece) = message {
          // Not through the reducer: after the end it leaves the rest of the logs to REST.
          switch logs.take(piece) {
          case .emit(let rest): written[rest.stream, default: []] += rest.data
          case .drop: break
          case .missing(let range): Issue.record("log bytes \(range) are missing, seed \(seed)")
          }
          continue
        }
        for output in reducer.take(message) {
          switch output {
          case .status(let status):
            #expect(states.updateValue(status.status, forKey: status.sequence) == nil, "repeated, seed \(seed)")
          case .ended, .progress: break
          default: Issue.record("\(output), seed \(seed)")
          }
        }
      }
    }
    #expect(cuts == 100 && reducer.isEnded, "seed \(seed)")
    let kept = topic.source.state.withLock { $0 }
    // The first one is the snapshot's; what happened before is in it.
    let first = try #require(states.keys.min())
    for event in kept.events where event.sequence >= first {
      #expect(states[event.sequence] == event.state, "seed \(seed)")
    }
    for stream in LogStream.allCases {
      #expect(written[stream] ?? [] == kept.logs[TestSource.key(job, 1, stream)] ?? [], "seed \(seed)")
    }
  }
}
