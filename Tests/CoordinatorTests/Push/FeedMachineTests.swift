import Clocks
import JSON
import Marketplace
import Store
import Testing
import Wire

@testable import Coordinator

private let start = MonotonicTime(milliseconds: 0)
private let later = MonotonicTime(milliseconds: 10_000)
private let mark = TopicMark(published: 10, endPosition: 0, version: 0)

private func snapshot(_ status: JobState = .running, sequence: Int64 = 10) -> FeedSnapshot {
  let job: JSONValue = ["job_id": .string(Known.job(1).rawValue), "status": .string(status.rawValue)]
  return FeedSnapshot(sequence: sequence, jobs: [job], isTruncated: false)
}

extension FeedMachine {
  fileprivate init(
    _ phase: Phase, scope: FeedScope = .account, limits: FeedLimits = FeedLimits(), resume: FeedResume? = nil
  ) {
    self.init(scope: scope, epoch: "e", limits: limits, resume: resume, openedAt: start)
    switch phase {
    case .anonymous: _ = opened(account: nil)
    case .authenticating:
      _ = opened(account: nil)
      _ = received(.auth(apiKey: "k"), at: start)
    case .loading: _ = opened(account: Known.account)
    case .live:
      _ = opened(account: Known.account)
      _ = snapshotLoaded(snapshot(), end: nil, mark: mark, generation: generation, now: start)
    case .closed: _ = close(.ended, "")
    }
  }
}

extension FeedAction {
  /// The action in a word or two.
  fileprivate var word: String {
    switch self {
    case .send(.error(let code, _)): "error \(code)"
    case .send(let message): message.json["type"]?.string ?? "?"
    case .close(let code, _): "close \(code.rawValue)"
    case .authenticate: "authenticate"
    case .join(.market): "join market"
    case .join(.account): "join account"
    case .join(.job): "join job"
    case .join(.log): "join log"
    case .loadSnapshot: "snapshot?"
    case .checkResume: "resume?"
    case .follow: "follow"
    case .unfollow: "unfollow"
    case .loadLogState: "logs?"
    case .pump: "pump"
    }
  }
}

private func words(_ actions: [FeedAction]) -> [String] { actions.map(\.word) }

@Suite struct FeedMachineTests {
  static let job = Known.job(1).rawValue

  /// Every command in every phase.
  static let table: [(FeedCommand, [FeedMachine.Phase: [String]])] = [
    (
      .ping,
      [
        .anonymous: ["pong"], .authenticating: ["pong"], .loading: ["pong"], .live: ["pong"], .closed: [],
      ]
    ),
    (
      .auth(apiKey: "k"),
      [
        .anonymous: ["authenticate"], .authenticating: ["error already_authenticated"],
        .loading: ["error already_authenticated"], .live: ["error already_authenticated"], .closed: [],
      ]
    ),
    (
      .resume(epoch: "e", after: 3),
      [.anonymous: [], .authenticating: [], .loading: ["resume?"], .live: ["resume?"], .closed: []]
    ),
    (
      .resume(epoch: "other", after: 3),
      [.anonymous: [], .authenticating: [], .loading: ["snapshot?"], .live: ["snapshot?"], .closed: []]
    ),
    (
      .subscribe(job: job, logs: true, offsets: [:]),
      [
        .anonymous: ["error unauthorized"], .authenticating: ["error unauthorized"], .loading: ["follow", "logs?"],
        .live: ["follow", "logs?"], .closed: [],
      ]
    ),
    (
      .subscribe(job: job, logs: false, offsets: [:]),
      [
        .anonymous: ["error unauthorized"], .authenticating: ["error unauthorized"], .loading: [], .live: [],
        .closed: [],
      ]
    ),
    (
      .subscribe(job: "../x", logs: true, offsets: [:]),
      [
        .anonymous: ["error unauthorized"], .authenticating: ["error unauthorized"],
        .loading: ["error job_not_found"], .live: ["error job_not_found"], .closed: [],
      ]
    ),
    (.unsubscribe(job: job), [.anonymous: [], .authenticating: [], .loading: [], .live: [], .closed: []]),
    (
      .unsubscribe(job: "x"),
      [
        .anonymous: ["error job_not_found"], .authenticating: ["error job_not_found"],
        .loading: ["error job_not_found"], .live: ["error job_not_found"], .closed: [],
      ]
    ),
  ]

  @Test(arguments: FeedMachine.Phase.allCases)
  func commandsByPhase(_ phase: FeedMachine.Phase) throws {
    for (command, expected) in Self.table {
      var machine = FeedMachine(phase)
      #expect(machine.phase == phase)
      #expect(words(machine.received(command, at: start)) == (try #require(expected[phase])), "\(command)")
    }
  }

  @Test(arguments: FeedMachine.Phase.allCases)
  func otherInputsByPhase(_ phase: FeedMachine.Phase) {
    let isOpen = phase != .closed
    var machine = FeedMachine(phase)
    #expect(words(machine.received(malformed: "x", at: start)) == (isOpen ? ["error malformed_message"] : []))
    machine = FeedMachine(phase)
    #expect(words(machine.receivedBinary()) == (isOpen ? ["close 1003"] : []))
    machine = FeedMachine(phase)
    let identified = phase == .anonymous || phase == .authenticating
    #expect(words(machine.authenticated(.unknownKey)) == (identified ? ["error unauthorized", "close 4501"] : []))
    machine = FeedMachine(phase)
    let snapshot = machine.snapshotLoaded(
      snapshot(), end: nil, mark: mark, generation: machine.generation, now: start)
    #expect(words(snapshot) == (phase == .loading ? ["snapshot", "pump"] : []))
    machine = FeedMachine(phase)
    let bounds = SequenceBounds(first: 1, last: 10)
    #expect(machine.resumeChecked(bounds, end: nil, mark: mark, generation: machine.generation, now: start).isEmpty)
    machine = FeedMachine(phase)
    #expect(machine.historyRead([11], floor: 11, isLast: true, generation: machine.generation) == 0)
    machine = FeedMachine(phase)
    #expect(machine.nextLog() == .nothing)
    machine = FeedMachine(phase)
    #expect(words(machine.sweep(at: later, isWritable: true, endPosition: 0)) == [])
  }

  @Test func authenticationLeadsToASnapshot() {
    var machine = FeedMachine(.authenticating)
    #expect(words(machine.authenticated(.account(Known.account))) == ["join account", "snapshot?"])
    var refused = FeedMachine(.authenticating, scope: .job(Known.job(1)))
    #expect(words(refused.authenticated(.notOwner)) == ["error job_not_found", "close 4504"])
    var full = FeedMachine(.authenticating)
    #expect(words(full.authenticated(.full)) == ["error too_many_connections", "close 4030"])
  }

  @Test func aResumeSentBehindAuthIsKept() {
    var machine = FeedMachine(.authenticating)
    #expect(machine.received(.resume(epoch: "e", after: 5), at: start).isEmpty)
    #expect(words(machine.authenticated(.account(Known.account))) == ["join account", "resume?"])
  }

  @Test func resumeOverridesASnapshotUnderWay() {
    var machine = FeedMachine(.loading)
    let old = machine.generation
    #expect(words(machine.received(.resume(epoch: "e", after: 5), at: start)) == ["resume?"])
    #expect(machine.snapshotLoaded(snapshot(), end: nil, mark: mark, generation: old, now: start).isEmpty)
    let bounds = SequenceBounds(first: 1, last: 10)
    let actions = machine.resumeChecked(bounds, end: nil, mark: mark, generation: machine.generation, now: start)
    #expect(words(actions) == ["pump"] && machine.cursor.sequence == 5)
  }

  @Test(arguments: [
    (Int64(3), false), (4, true), (10, true), (11, false), (-1, false), (Int64.max, false), (Int64.min, false),
  ])
  func resumesWithinTheLogOnly(after: Int64, isPossible: Bool) {
    var machine = FeedMachine(.loading, resume: FeedResume(epoch: "e", after: after))
    let bounds = SequenceBounds(first: 5, last: 10)
    let actions = machine.resumeChecked(bounds, end: nil, mark: mark, generation: machine.generation, now: start)
    #expect(words(actions) == (isPossible ? ["pump"] : ["snapshot?"]))
    guard !isPossible else { return }
    let loaded = machine.snapshotLoaded(
      snapshot(), end: nil, mark: mark, generation: machine.generation, now: start)
    #expect(words(loaded) == ["reset", "snapshot", "pump"])
  }

  // MARK: A job's feed

  static func jobMachine(_ status: JobState, end: Int64?, now: MonotonicTime) -> (FeedMachine, [String]) {
    var machine = FeedMachine(.loading, scope: .job(Known.job(1)))
    let actions = machine.snapshotLoaded(
      snapshot(status), end: end, mark: mark, generation: machine.generation, now: now)
    return (machine, words(actions))
  }

  @Test func theEndOfAFinishedJobFollowsItsSnapshot() {
    let (machine, actions) = Self.jobMachine(.completed, end: 7, now: start)
    #expect(actions == ["snapshot", "pump"] && machine.cursor.sequence == 6)
  }

  @Test func closesAfterTheEnd() {
    var (machine, _) = Self.jobMachine(.running, end: nil, now: start)
    #expect(words(machine.delivered(ends: [Known.job(1)], at: later)) == ["close 1000"])
  }

  @Test func lingersForALateSubscribe() {
    var (machine, _) = Self.jobMachine(.completed, end: nil, now: start)
    #expect(machine.sweep(at: MonotonicTime(milliseconds: 999), isWritable: true, endPosition: 0).isEmpty)
    var other = machine
    #expect(
      words(machine.sweep(at: MonotonicTime(milliseconds: 1000), isWritable: true, endPosition: 0)) == ["close 1000"])
    _ = other.received(.subscribe(job: Self.job, logs: true, offsets: [:]), at: start)
    #expect(other.sweep(at: later, isWritable: true, endPosition: 0).isEmpty)
    let state = LogState(
      tryNumber: 1, lengths: [.stdout: 2], facts: [.stdout: logFact(of: [1, 2]), .stderr: .empty], isTerminal: true)
    _ = other.logStateLoaded(state, of: Known.job(1), generation: other.followGeneration, now: later)
    var sent: [String] = []
    for _ in 0..<5 {
      switch other.nextLog() {
      case .nothing: break
      case .piece: sent += ["eof"] + words(other.dropFinished(at: later))
      case .read(let read): sent += words(other.logRead([65, 66], for: read, now: later))
      }
    }
    #expect(sent.contains("log") && sent.contains("eof") && sent.last == "close 1000")
  }

  @Test func waitsForBothLogs() {
    var (machine, _) = Self.jobMachine(.running, end: nil, now: start)
    _ = machine.received(.subscribe(job: Self.job, logs: true, offsets: [:]), at: start)
    let state = LogState(tryNumber: 1, lengths: [:], facts: [:], isTerminal: false)
    _ = machine.logStateLoaded(state, of: Known.job(1), generation: machine.followGeneration, now: start)
    #expect(words(machine.delivered(ends: [Known.job(1)], at: later)) == ["logs?"])
    let final = LogState(tryNumber: 1, lengths: [:], facts: [.stdout: .empty, .stderr: .empty], isTerminal: true)
    _ = machine.logStateLoaded(final, of: Known.job(1), generation: machine.followGeneration, now: later)
    for round in 0..<2 {
      guard case .piece = machine.nextLog() else {
        Issue.record("no end record")
        return
      }
      #expect(words(machine.dropFinished(at: later)) == (round == 0 ? [] : ["unfollow", "close 1000"]))
    }
  }

  @Test func aResumeAtTheEndClosesAtOnce() {
    var machine = FeedMachine(.loading, scope: .job(Known.job(1)), resume: FeedResume(epoch: "e", after: 7))
    let actions = machine.resumeChecked(
      SequenceBounds(first: 1, last: 10), end: 7, mark: mark, generation: machine.generation, now: later)
    #expect(words(actions) == ["pump", "close 1000"])
  }

  @Test func refusesOtherJobsAndMissingOnes() {
    var (machine, _) = Self.jobMachine(.running, end: nil, now: start)
    let other = FeedCommand.subscribe(job: Known.job(2).rawValue, logs: true, offsets: [:])
    #expect(words(machine.received(other, at: start)) == ["error other_job"])
    var missing = FeedMachine(.loading, scope: .job(Known.job(1)))
    let none = FeedSnapshot(sequence: 10, jobs: [], isTruncated: false)
    let actions = missing.snapshotLoaded(none, end: nil, mark: mark, generation: missing.generation, now: start)
    #expect(words(actions) == ["error job_not_found", "close 4504"])
  }

  // MARK: Limits

  @Test func messagesInASecond() {
    var machine = FeedMachine(.live)
    for _ in 0..<50 { #expect(words(machine.received(.ping, at: start)) == ["pong"]) }
    #expect(words(machine.received(.ping, at: start)) == ["close 4029"])
  }

  @Test func malformedMessages() {
    var machine = FeedMachine(.live)
    for _ in 0..<10 { #expect(words(machine.received(malformed: "x", at: start)) == ["error malformed_message"]) }
    #expect(words(machine.received(malformed: "x", at: start)) == ["close 4500"])
  }

  @Test func subscriptions() {
    var limits = FeedLimits()
    limits.subscriptions = 2
    var machine = FeedMachine(.live, limits: limits)
    let command = { FeedCommand.subscribe(job: Known.job($0).rawValue, logs: true, offsets: [:]) }
    #expect(words(machine.received(command(1), at: start)) == ["follow", "logs?"])
    #expect(words(machine.received(command(2), at: start)) == ["follow", "logs?"])
    #expect(words(machine.received(command(3), at: start)) == ["error too_many_subscriptions"])
    // The same one again only starts anew.
    #expect(words(machine.received(command(2), at: start)) == ["logs?"])
    #expect(words(machine.received(.unsubscribe(job: Known.job(1).rawValue), at: start)) == ["unfollow"])
    #expect(words(machine.received(command(3), at: start)) == ["follow", "logs?"])
  }

  @Test func eventsBehind() {
    var machine = FeedMachine(.live)
    #expect(machine.closeIfBehind(10_000).isEmpty)
    #expect(words(machine.closeIfBehind(10_001)) == ["close 4008"])
  }

  @Test func timeWithoutASocketThatTakesAnything() {
    var machine = FeedMachine(.live)
    #expect(machine.sweep(at: start, isWritable: false, endPosition: 0).isEmpty)
    #expect(machine.sweep(at: MonotonicTime(milliseconds: 29_999), isWritable: false, endPosition: 0).isEmpty)
    var other = machine
    #expect(
      words(machine.sweep(at: MonotonicTime(milliseconds: 30_000), isWritable: false, endPosition: 0)) == ["close 4008"]
    )
    #expect(other.sweep(at: MonotonicTime(milliseconds: 30_000), isWritable: true, endPosition: 0).isEmpty)
    #expect(other.sweep(at: MonotonicTime(milliseconds: 31_000), isWritable: false, endPosition: 0).isEmpty)
  }

  // MARK: Logs

  @Test func foreignJobsAreNotFollowed() {
    var machine = FeedMachine(.live)
    _ = machine.received(.subscribe(job: Self.job, logs: true, offsets: [:]), at: start)
    let actions = machine.logStateLoaded(nil, of: Known.job(1), generation: machine.followGeneration, now: start)
    #expect(words(actions) == ["unfollow", "error job_not_found"] && machine.follows.isEmpty)
  }

  @Test func removedLogsAreSaid() {
    var machine = FeedMachine(.live)
    _ = machine.received(.subscribe(job: Self.job, logs: true, offsets: [:]), at: start)
    let state = LogState(tryNumber: 1, lengths: [.stdout: 5], facts: [:], isTerminal: false)
    _ = machine.logStateLoaded(state, of: Known.job(1), generation: machine.followGeneration, now: start)
    guard case .read(let read) = machine.nextLog() else {
      Issue.record("nothing to read")
      return
    }
    #expect(machine.nextLog() == .nothing, "one read at a time")
    #expect(words(machine.logRead([], for: read, now: start)) == ["unfollow", "error log_gone", "pump"])
  }

  @Test func jobsTakeTurns() {
    var machine = FeedMachine(.live)
    for number in 1...3 {
      _ = machine.received(.subscribe(job: Known.job(UInt64(number)).rawValue, logs: true, offsets: [:]), at: start)
      let state = LogState(tryNumber: 1, lengths: [.stdout: 1 << 20], facts: [:], isTerminal: false)
      _ = machine.logStateLoaded(
        state, of: Known.job(UInt64(number)), generation: machine.followGeneration, now: start)
    }
    var jobs: [JobID] = []
    for _ in 0..<6 {
      guard case .read(let read) = machine.nextLog() else {
        Issue.record("nothing to read")
        return
      }
      jobs.append(read.job)
      _ = machine.logRead(Array(repeating: 65, count: read.limit), for: read, now: start)
    }
    #expect(Set(jobs.prefix(3)).count == 3 && Array(jobs.prefix(3)) == Array(jobs.suffix(3)))
  }
}
