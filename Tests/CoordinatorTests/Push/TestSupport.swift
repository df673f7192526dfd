import FoundationEssentials
import JSON
import Marketplace
import Store
import Synchronization
import TestRandomness
import Wire

@testable import Coordinator

/// Identifiers that are the same in every run.
enum Known {
  static let account = id(1) as AccountID
  static let stranger = id(2) as AccountID
  static func job(_ number: UInt64) -> JobID { id(number) }

  private static func id<Kind>(_ number: UInt64) -> Identifier<Kind> {
    var generator = SeededGenerator(seed: number)
    return Identifier(at: Timestamp(milliseconds: 1_770_000_000_000), using: &generator)
  }

  static func event(
    _ sequence: Int64, _ job: JobID, _ state: JobState = .running, account: AccountID = Known.account,
    tryNumber: Int = 1, padding: Int = 0
  ) -> JobEvent {
    JobEvent(
      sequence: sequence, job: job, account: account, at: Timestamp(milliseconds: 1_770_000_000_000), state: state,
      attempt: 1, tryNumber: tryNumber, miner: nil, progress: 0,
      error: padding > 0 ? JobError(.lost, String(repeating: "x", count: padding)) : nil, exitCode: nil,
      cancelOutcome: nil)
  }
}

/// A store in memory.
final class TestSource: FeedSource {
  struct State {
    var events: [JobEvent] = []
    var first: Int64 = 1
    var last: Int64 = 0
    var jobs: [JobID: JobState] = [:]
    var owners: [JobID: AccountID] = [:]
    var tryNumber: [JobID: Int] = [:]
    var logs: [String: [UInt8]] = [:]
    var facts: [String: LogFact] = [:]
    var isFailing = false
    var pagesRead = 0
  }
  struct Failure: Error {}

  let epoch = "epoch-1"
  let state = Mutex(State())

  /// Appends to the log; returns the events with their sequences.
  func commit(_ events: [(JobID, JobState)], padding: Int = 0) -> [JobEvent] {
    state.withLock { state in
      events.map { job, jobState in
        state.last += 1
        let owner = state.owners[job] ?? Known.account
        state.owners[job] = owner
        state.jobs[job] = jobState
        let event = Known.event(
          state.last, job, jobState, account: owner, tryNumber: state.tryNumber[job] ?? 1, padding: padding)
        state.events.append(event)
        return event
      }
    }
  }

  static func key(_ job: JobID, _ tryNumber: Int, _ stream: LogStream) -> String {
    "\(job)/\(tryNumber)/\(stream.rawValue)"
  }

  private func reading<Value: Sendable>(_ body: (inout sending State) throws -> sending Value) throws -> Value {
    try state.withLock { state in
      if state.isFailing { throw Failure() }
      return try body(&state)
    }
  }

  func account(forKey key: String) async throws -> AccountID? {
    try reading { _ in key == "good" ? Known.account : key == "other" ? Known.stranger : nil }
  }

  func snapshot(account: AccountID, job: JobID?) async throws -> FeedSnapshot {
    try reading { state in
      let jobs = state.jobs.filter { state.owners[$0.key] == account && (job == nil || job == $0.key) }
      return FeedSnapshot(
        sequence: state.last,
        jobs: jobs.sorted { $0.key < $1.key }.map {
          ["job_id": .string($0.key.rawValue), "status": .string($0.value.rawValue)]
        }, isTruncated: false)
    }
  }

  func sequenceBounds() async throws -> SequenceBounds {
    try reading { SequenceBounds(first: $0.first, last: $0.last) }
  }

  func events(after: Int64, account: AccountID?, job: JobID?, limit: Int) async throws -> [JobEvent] {
    try reading { state in
      state.pagesRead += 1
      let first = max(state.first, after + 1)
      let found = state.events.lazy.filter {
        $0.sequence >= first && (account == nil || $0.account == account) && (job == nil || $0.job == job)
      }
      return Array(found.prefix(limit))
    }
  }

  func owns(account: AccountID, job: JobID) async throws -> Bool { try reading { $0.owners[job] == account } }

  func logState(job: JobID) async throws -> LogState? {
    try reading { state in
      guard let status = state.jobs[job] else { return nil }
      let number = state.tryNumber[job] ?? 1
      var result = LogState(tryNumber: number, lengths: [:], facts: [:], isTerminal: status.isTerminal)
      for stream in LogStream.allCases {
        result.lengths[stream] = Int64(state.logs[Self.key(job, number, stream)]?.count ?? 0)
        result.facts[stream] = state.facts[Self.key(job, number, stream)]
      }
      return result
    }
  }

  func logBytes(job: JobID, tryNumber: Int, stream: LogStream, offset: Int64, limit: Int) async throws -> [UInt8] {
    try reading { Array(($0.logs[Self.key(job, tryNumber, stream)] ?? []).dropFirst(Int(offset)).prefix(limit)) }
  }
}

/// A file of the repository, found from where the tests stand.
func repositoryFile(_ path: String, from file: String = #filePath) throws -> String {
  var folder = URL(filePath: file).deletingLastPathComponent()
  for _ in 0..<8 {
    let candidate = folder.appending(path: path).path
    if let data = FileManager.default.contents(atPath: candidate) { return String(decoding: data, as: UTF8.self) }
    folder = folder.deletingLastPathComponent()
  }
  throw TestSource.Failure()
}
