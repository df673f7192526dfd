import FoundationEssentials
import JSON
import LoopbackServer
import Marketplace
import Synchronization
import Testing
import TestRandomness
import Wire

@testable import MarketplaceClient

/// Connections whose frames a test wrote beforehand.
private final class Script: Sendable {
  /// One element for each connection; nil: refused with 426.
  let connections: Mutex<[[FeedFrame]?]>
  let paths = Mutex<[String]>([])
  let sent = Mutex<[String]>([])

  init(_ connections: [[FeedFrame]?]) { self.connections = Mutex(connections) }

  var connector: FeedConnector {
    { [self] path in
      paths.withLock { $0.append(path.description) }
      let next = connections.withLock { $0.isEmpty ? nil : $0.removeFirst() }
      guard let next else { throw FeedConnectionError.refused(.problem(Problem(426, "upgrade_required", "no"))) }
      return ScriptedConnection(next, self)
    }
  }
}

private final class ScriptedConnection: FeedConnection {
  private let frames: Mutex<[FeedFrame]>
  private let script: Script

  init(_ frames: [FeedFrame], _ script: Script) {
    self.frames = Mutex(frames)
    self.script = script
  }

  func send(_ text: String) async throws { script.sent.withLock { $0.append(text) } }
  func receive() async throws -> FeedFrame {
    frames.withLock { $0.isEmpty ? .closed(code: 1006, reason: "") : $0.removeFirst() }
  }
  func close() async {}
}

extension FeedMessage {
  fileprivate var frame: FeedFrame { .text(json.text) }
}

@Suite struct JobFeedTests {
  private func run(
    _ script: Script, logs: Bool = false, document: @escaping @Sendable (Int) -> JSONValue,
    log: String = ""
  ) async throws -> (events: [JobEvent], requests: [LoopbackRequest], slept: Int64) {
    let count = Mutex(0)
    let answer: LoopbackServer.Answer = { request in
      if request.path.hasSuffix("/logs") {
        let offset = request.target.split(separator: "=").last.flatMap { Int($0) } ?? 0
        guard request.target.contains("stream=stdout"), offset <= log.utf8.count else {
          return LoopbackAnswer(416, "{}")
        }
        return LoopbackAnswer(200, bytes: Array(log.utf8.dropFirst(offset)))
      }
      let number = count.withLock { value in
        value += 1
        return value
      }
      return LoopbackAnswer(200, document(number).text)
    }
    let clock = HurriedClock()
    return try await LoopbackServer.with(answer) { server in
      let events = try await withClient(server.url, clock: clock) { client in
        var options = FeedOptions()
        options.wantsLogs = logs
        var events: [JobEvent] = []
        for try await event in JobFeed(client, job: "j", options: options, connector: script.connector) {
          events.append(event)
        }
        return events
      }
      return (events, server.requests, clock.slept)
    }
  }

  private func states(_ events: [JobEvent]) -> [JobState] {
    events.compactMap { if case .status(let status) = $0 { status.status } else { nil } }
  }

  private func log(_ events: [JobEvent]) -> String {
    let bytes = events.flatMap { event -> [UInt8] in if case .log(let piece) = event { piece.data } else { [] } }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test func reconnectsAndResumes() async throws {
    typealias Make = FeedReducerTests
    let script = Script([
      [
        Make.snapshot(4, Make.document(.pending, tryNumber: 0)).frame, Make.status(5, .assigned).frame,
        .closed(code: 4008, reason: "slow"),
      ],
      [Make.status(6, .running).frame, Make.progress(40).frame],
      [Make.status(9, .completed).frame, .closed(code: 1000, reason: "")],
    ])
    let result = try await run(script) { $0 == 1 ? Make.document(.pending, tryNumber: 0) : Make.document(.completed) }
    #expect(states(result.events) == [.pending, .assigned, .running, .completed])
    #expect(
      script.paths.withLock { $0 } == [
        "/v1/jobs/j/ws", "/v1/jobs/j/ws?after=5&epoch=e", "/v1/jobs/j/ws?after=6&epoch=e",
      ])
    guard case .end(let job)? = result.events.last else { return #expect(Bool(false), "\(result.events)") }
    #expect(job.status == .completed)
  }

  @Test func aJobThatHasEndedNeedsNoSocket() async throws {
    let script = Script([])
    let result = try await run(script) { _ in FeedReducerTests.document(.expired, tryNumber: 0) }
    #expect(states(result.events) == [.expired])
    #expect(script.paths.withLock { $0 }.isEmpty)
  }

  @Test func pollsWhereNoSocketCanBeHad() async throws {
    let states: [JobState] = [.pending, .pending, .running, .lost, .lost]
    let result = try await run(Script([])) { number in
      let state = states[min(number, states.count - 1)]
      return FeedReducerTests.document(state, tryNumber: state == .pending ? 0 : 1)
    }
    #expect(self.states(result.events) == [.pending, .running, .lost])
    #expect(result.slept == 6000)
  }

  @Test func logGapsAreFetched() async throws {
    typealias Make = FeedReducerTests
    func piece(_ offset: Int64, _ text: String, end: Int64? = nil) -> FeedFrame {
      FeedMessage.log(
        LogPiece(
          job: "j", stream: .stdout, tryNumber: 1, offset: offset, data: Array(text.utf8),
          end: end.map { LogFact(length: $0, sha256: "x") })
      ).frame
    }
    let script = Script([
      [Make.snapshot(1, Make.document(.running)).frame, piece(0, "one\n"), piece(8, "three\n")],
      [piece(10, "ree\nfour\n"), Make.status(2, .completed).frame],
    ])
    let whole = "one\ntwo\nthree\nfour\nfive\n"
    let result = try await run(
      script, logs: true, document: { Make.document($0 == 1 ? .running : .completed) }, log: whole)
    #expect(log(result.events) == whole)
    #expect(script.sent.withLock { $0 }.count == 2)
    #expect(script.sent.withLock { $0.last }?.contains(#""stdout":14"#) == true)
  }

  @Test func aWrongKeyEndsIt() async throws {
    let connector: FeedConnector = { _ in throw FeedConnectionError.refused(.problem(Problem(401, "x", "y"))) }
    try await LoopbackServer.with({ _ in LoopbackAnswer(200, FeedReducerTests.document(.running).text) }) { server in
      await #expect(throws: ClientError.self) {
        try await withClient(server.url) { client in
          for try await _ in JobFeed(client, job: "j", connector: connector) {}
        }
      }
    }
  }

  @Test func patienceHasAnEnd() async throws {
    let connector: FeedConnector = { _ in throw FeedConnectionError.unreachable("refused") }
    let clock = HurriedClock()
    try await LoopbackServer.with({ _ in LoopbackAnswer(200, FeedReducerTests.document(.running).text) }) { server in
      await #expect(throws: ClientError.self) {
        try await withClient(server.url, clock: clock) { client in
          for try await _ in JobFeed(client, job: "j", connector: connector) {}
        }
      }
      #expect(clock.slept >= 600_000)
      #expect(clock.slept < 620_000)
    }
  }

  @Test func aRestartsHintIsTheWait() async throws {
    typealias Make = FeedReducerTests
    let script = Script([
      [Make.snapshot(1, Make.document(.running)).frame, .closed(code: 1012, reason: "reconnect_after_ms=7350")],
      [Make.status(2, .completed).frame],
    ])
    let result = try await run(script) { Make.document($0 == 1 ? .running : .completed) }
    #expect(result.slept == 7350)
    let delays = result.events.compactMap { event -> Seconds? in
      if case .connection(.reconnecting(let delay, _)) = event { delay } else { nil }
    }
    #expect(delays == [Seconds(milliseconds: 7350)])
  }

  @Test(arguments: [
    (1012, "reconnect_after_ms=0", Int64(0) as Int64?), (1012, "reconnect_after_ms=60000", 60_000),
    (1012, "reconnect_after_ms=60001", 60_000), (1012, "reconnect_after_ms=99999999999999999999", nil),
    (1012, "reconnect_after_ms=", nil), (1012, "reconnect_after_ms=-5", nil), (1012, "reconnect_after_ms=5s", nil),
    (1012, "", nil), (1001, "reconnect_after_ms=5", nil),
  ])
  func restartHints(code: Int, reason: String, milliseconds: Int64?) {
    #expect(RestartHint.delay(code: code, reason: reason)?.milliseconds == milliseconds)
  }

  /// Without a hint the wait is anything between nothing and the growing ceiling (full jitter).
  @Test func waitsHaveFullJitter() {
    var generator = SeededGenerator(seed: 5)
    for attempt in 0..<8 {
      let ceiling = min(15_000, 500 << attempt)
      let waits = (0..<400).map { _ in
        Int(Backoff.reconnect.delay(attempt: attempt, using: &generator).milliseconds)
      }
      #expect(waits.allSatisfy { (0...ceiling).contains($0) })
      #expect(waits.contains { $0 < ceiling / 10 } && waits.contains { $0 > ceiling - ceiling / 10 })
    }
  }

  /// Every row of the table in the documentation says what this client does.
  @Test func theTableOfCloseCodes() throws {
    let text = try repositoryFile("docs/protocol.md")
    var count = 0
    for line in text.split(separator: "\n") where line.hasPrefix("| ") {
      let cells = line.split(separator: "|").map { String($0).trimmingBlanks }
      guard cells.count == 4, ["reconnect", "do not reconnect"].contains(cells[3]) else { continue }
      for code in cells[0].split(separator: ",").compactMap({ Int(String($0).trimmingBlanks) }) {
        #expect((FeedCloseAction(code: code) == .reconnect) == (cells[3] == "reconnect"), "\(code)")
        count += 1
      }
    }
    #expect(count >= 20)
  }

  @Test(arguments: [
    (1000, false), (1001, true), (1005, true), (1002, false), (1003, false), (1006, true), (1007, false), (1008, false),
    (1009, false),
    (1012, true), (2999, false), (3000, true), (3499, true), (3500, false), (3999, false), (4000, true), (4008, true),
    (4499, true), (4500, false), (4504, false),
  ])
  func closeCodes(_ code: Int, _ reconnects: Bool) {
    #expect((FeedCloseAction(code: code) == .reconnect) == reconnects)
  }
}

extension String {
  fileprivate var trimmingBlanks: String {
    String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}

private struct MissingFile: Error {
  let path: String
}

/// A file of the repository, found from where the tests stand.
private func repositoryFile(_ path: String, from file: String = #filePath) throws -> String {
  var folder = URL(filePath: file).deletingLastPathComponent()
  while folder.path.count > 1 {
    let candidate = folder.appending(path: path).path
    if let data = FileManager.default.contents(atPath: candidate) { return String(decoding: data, as: UTF8.self) }
    folder = folder.deletingLastPathComponent()
  }
  throw MissingFile(path: path)
}
