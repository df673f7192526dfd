import Clocks
import Cryptography
import Foundation
import JSON
import Marketplace
import MarketplaceClient
import Synchronization
import Testing
import TestRandomness
import Wire

@testable import Miner

/// A coordinator in one lock: answers a miner as the real one does, remembers everything, and can be made to misbehave.
final class FakeCoordinator: ArtifactDestination {
  struct Behaviour: Sendable {
    var leaseMilliseconds: Int64 = 60_000
    var heartbeat = Seconds(milliseconds: 50)
    var answersRenewals = true
    var settles = true
    var keepsLogs = true
    /// Refuses connections altogether.
    var isAway = false
    /// Leases it calls lost at the next greeting.
    var lost: Set<String> = []
    /// The next reports that are called incomplete.
    var incompleteReports = 0
  }

  private struct State {
    var behaviour = Behaviour()
    var connections: [FakeConnection] = []
    var welcomes = 0
    var messages: [MinerMessage] = []
    var logs: [String: [LogStream: [UInt8]]] = [:]
    var artifacts: [String: [UInt8]] = [:]
    var settled: [String: TryReport] = [:]
    var random = SeededGenerator(seed: 42)
    var assigned = 0
  }

  private let state = Mutex(State())

  var behaviour: Behaviour {
    get { state.withLock { $0.behaviour } }
    set { state.withLock { $0.behaviour = newValue } }
  }
  var messages: [MinerMessage] { state.withLock { $0.messages } }
  /// How often leases were to be renewed.
  var renewals: Int { messages.count { if case .renew = $0 { true } else { false } } }
  var connectionCount: Int { state.withLock { $0.connections.count } }
  /// A welcome has been sent: what is sent now is heard, as the real one sends nothing before it.
  var hasWelcomed: Bool { state.withLock { $0.welcomes > 0 } }
  var artifacts: [String: [UInt8]] { state.withLock { $0.artifacts } }
  var connection: FakeConnection? { state.withLock { $0.connections.last } }

  var connector: MinerConnector {
    { [self] in
      try Task.checkCancellation()
      let connection = FakeConnection(self)
      guard
        state.withLock({ state in
          if state.behaviour.isAway { return false }
          state.connections.append(connection)
          return true
        })
      else { throw ChannelOpenError.unreachable("away") }
      return connection
    }
  }

  // MARK: What the test does

  func send(_ command: MinerCommand) { connection?.deliver(command) }

  /// Cuts the connection without a goodbye.
  func cut() { connection?.end(ChannelEnd(code: 1006)) }

  /// Hands a job to the miner; returns its lease.
  @discardableResult
  func assign(_ specification: JobSpecification) -> String {
    let assignment = state.withLock { state in
      state.assigned += 1
      return Assignment(
        job: JobID(at: Timestamp(milliseconds: 1_770_000_000_000), using: &state.random), tryNumber: 1, attempt: 1,
        lease: "lt_\(state.assigned)", leaseMilliseconds: state.behaviour.leaseMilliseconds,
        specification: specification)
    }
    send(.assign(assignment))
    return assignment.lease
  }

  func report(of lease: String) -> TryReport? { state.withLock { $0.settled[lease] } }
  func log(_ lease: String, _ stream: LogStream = .stdout) -> [UInt8] {
    state.withLock { $0.logs[lease]?[stream] ?? [] }
  }
  func text(_ lease: String, _ stream: LogStream = .stdout) -> String {
    String(decoding: log(lease, stream), as: UTF8.self)
  }

  // MARK: What the miner does

  func upload(
    _ file: String, as path: String, lease: String, digest: FileDigest,
    waiting: @escaping @Sendable (UploadWait) -> Void
  ) async throws {
    let bytes = try Array(Data(contentsOf: URL(filePath: file)))
    // Waits as the real destination does.
    while behaviour.isAway { try await SystemClock().sleep(for: Seconds(milliseconds: 5)) }
    state.withLock { $0.artifacts["\(lease)/\(path)"] = bytes }
  }

  fileprivate func received(_ message: MinerMessage, from connection: FakeConnection) {
    let answers = state.withLock { state -> [MinerCommand] in
      state.messages.append(message)
      return answer(message, &state)
    }
    for answer in answers { connection.deliver(answer) }
    if case .hello = message { state.withLock { $0.welcomes += 1 } }
  }

  private func answer(_ message: MinerMessage, _ state: inout State) -> [MinerCommand] {
    switch message {
    case .hello(let hello):
      let kept = hello.held.filter { !state.behaviour.lost.contains($0.lease) && state.settled[$0.lease] == nil }
      let resumed = kept.map { held in
        ResumedLease(
          lease: held.lease, leaseMilliseconds: state.behaviour.leaseMilliseconds,
          stdoutOffset: Int64(state.logs[held.lease]?[.stdout]?.count ?? 0),
          stderrOffset: Int64(state.logs[held.lease]?[.stderr]?.count ?? 0))
      }
      let lost = hello.held.map(\.lease).filter { lease in !kept.contains { $0.lease == lease } }
      return [
        .welcome(
          MinerWelcome(
            miner: MinerID(at: Timestamp(milliseconds: 0), using: &state.random), heartbeat: state.behaviour.heartbeat,
            resumed: resumed, lost: lost))
      ]
    case .renew(let leases):
      guard state.behaviour.answersRenewals else { return [] }
      let term = state.behaviour.leaseMilliseconds
      return [.leases(renewed: Dictionary(uniqueKeysWithValues: leases.map { ($0, term) }), lost: [])]
    case .done(let report), .failed(let report): return end(report, &state)
    case .refuse(let lease, _): return [.settled(lease: lease, accepted: true)]
    case .accept, .started, .progress, .drain: return []
    }
  }

  private func end(_ report: TryReport, _ state: inout State) -> [MinerCommand] {
    guard state.behaviour.settles else { return [] }
    if state.behaviour.incompleteReports > 0 {
      state.behaviour.incompleteReports -= 1
      return [.error(code: "incomplete", message: "something is missing", lease: report.lease)]
    }
    for (stream, fact) in [(LogStream.stdout, report.stdout), (.stderr, report.stderr)] {
      let bytes = state.logs[report.lease]?[stream] ?? []
      guard bytes.count == fact.length, SHA256.hash(bytes).hex == fact.sha256 else {
        return [.error(code: "incomplete", message: "log bytes are missing", lease: report.lease)]
      }
    }
    for artifact in report.artifacts {
      guard let bytes = state.artifacts["\(report.lease)/\(artifact.path)"], SHA256.hash(bytes).hex == artifact.sha256
      else { return [.error(code: "incomplete", message: "artifact \(artifact.path) is missing", lease: report.lease)] }
    }
    state.settled[report.lease] = report
    return [.settled(lease: report.lease, accepted: true)]
  }

  fileprivate func received(_ chunk: LogChunk, from connection: FakeConnection) {
    let answer = state.withLock { state -> MinerCommand in
      guard state.behaviour.keepsLogs else {
        return .error(code: "log_not_kept", message: "no", lease: chunk.lease)
      }
      var bytes = state.logs[chunk.lease]?[chunk.stream] ?? []
      if Int(chunk.offset) == bytes.count { bytes += chunk.data }
      state.logs[chunk.lease, default: [:]][chunk.stream] = bytes
      return .logAck(lease: chunk.lease, stream: chunk.stream, offset: Int64(bytes.count))
    }
    connection.deliver(answer)
  }
}

/// One connection to it.
final class FakeConnection: MinerConnection {
  private struct State {
    var commands: [MinerCommand] = []
    var reader: CheckedContinuation<MinerCommand?, Never>?
    var end: ChannelEnd?
  }

  private let coordinator: FakeCoordinator
  private let state = Mutex(State())

  fileprivate init(_ coordinator: FakeCoordinator) { self.coordinator = coordinator }

  var end: ChannelEnd? { state.withLock { $0.end } }

  func send(_ message: MinerMessage) { if end == nil { coordinator.received(message, from: self) } }

  func send(_ chunk: LogChunk) async throws {
    guard end == nil else { throw ChannelOpenError.unreachable("closed") }
    coordinator.received(chunk, from: self)
  }

  func deliver(_ command: MinerCommand) {
    state.withLock { state in
      guard state.end == nil else { return nil as CheckedContinuation<MinerCommand?, Never>? }
      guard let reader = state.reader.take() else {
        state.commands.append(command)
        return nil
      }
      return reader
    }?.resume(returning: command)
  }

  func end(_ end: ChannelEnd) {
    state.withLock { state in
      state.end = state.end ?? end
      return state.reader.take()
    }?.resume(returning: nil)
  }

  func close() { end(ChannelEnd(code: 1000)) }

  func next() async -> MinerCommand? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let next: MinerCommand?? = state.withLock { state in
          if !state.commands.isEmpty { return .some(state.commands.removeFirst()) }
          if state.end != nil || Task.isCancelled { return .some(nil) }
          state.reader = continuation
          return nil
        }
        if let next { continuation.resume(returning: next) }
      }
    } onCancel: {
      state.withLock { $0.reader.take() }?.resume(returning: nil)
    }
  }
}
