import JSON
import Marketplace
import Testing
import TestRandomness
import Wire

@testable import MarketplaceClient

@Suite struct FeedReducerTests {
  static func status(_ sequence: Int64, _ state: JobState, epoch: String = "e", job: String = "j", tryNumber: Int = 1)
    -> FeedMessage
  {
    .status(
      JobStatus(
        sequence: sequence, epoch: epoch, job: job, status: state, attempt: 1, tryNumber: tryNumber, miner: nil,
        progress: 0, at: Timestamp(milliseconds: 0)))
  }

  static func progress(_ percent: Int, tryNumber: Int = 1, message: String? = nil, job: String = "j") -> FeedMessage {
    .progress(
      JobProgress(
        job: job, status: .running, attempt: 1, tryNumber: tryNumber, progress: percent, message: message,
        estimatedCompletion: nil, at: Timestamp(milliseconds: 0)))
  }

  static func document(_ state: JobState, tryNumber: Int = 1, progress: Int = 0, job: String = "j") -> JSONValue {
    [
      "job_id": .string(job), "status": .string(state.rawValue), "try": .integer(Int64(tryNumber)),
      "progress": .integer(Int64(progress)),
    ]
  }

  static func snapshot(_ sequence: Int64, _ documents: JSONValue..., epoch: String = "e") -> FeedMessage {
    .snapshot(epoch: epoch, sequence: sequence, jobs: documents, isTruncated: false)
  }

  private func states(_ outputs: [FeedReducer.Output]) -> [JobState] {
    outputs.compactMap { if case .status(let status) = $0 { status.status } else { nil } }
  }

  @Test func eachDurableEventOnceAndInOrder() {
    var reducer = FeedReducer(job: "j")
    #expect(states(reducer.take(Self.snapshot(5, Self.document(.pending, tryNumber: 0)))) == [.pending])
    #expect(reducer.take(Self.status(5, .assigned)).isEmpty)
    #expect(states(reducer.take(Self.status(6, .assigned))) == [.assigned])
    #expect(reducer.take(Self.status(6, .assigned)).isEmpty)
    #expect(states(reducer.take(Self.status(9, .running))) == [.running])
    #expect(reducer.take(Self.status(7, .assigned)).isEmpty)
    let end = reducer.take(Self.status(10, .completed))
    #expect(states(end) == [.completed])
    #expect(end.last == .ended)
    #expect(reducer.take(Self.status(11, .failed)).isEmpty)
    #expect(reducer.resumePoint?.after == 10)
  }

  @Test func everyTerminalStateEnds() {
    for state in JobState.allCases {
      var reducer = FeedReducer(job: "j")
      #expect(reducer.take(Self.status(1, state)).contains(.ended) == state.isTerminal)
      #expect(reducer.isEnded == state.isTerminal)
      var other = FeedReducer(job: "j")
      #expect(other.take(Self.snapshot(1, Self.document(state))).contains(.ended) == state.isTerminal)
    }
  }

  @Test func otherJobsAreNone() {
    var reducer = FeedReducer(job: "j")
    _ = reducer.take(Self.snapshot(1, Self.document(.running)))
    #expect(reducer.take(Self.status(2, .failed, job: "k")).isEmpty)
    #expect(reducer.take(Self.progress(50, job: "k")).isEmpty)
    #expect(reducer.take(.log(LogPiece(job: "k", stream: .stdout, tryNumber: 1, offset: 0, data: [1]))).isEmpty)
  }

  @Test func aSnapshotThatTellsNothingNewIsSilent() {
    var reducer = FeedReducer(job: "j")
    _ = reducer.take(Self.snapshot(1, Self.document(.running)))
    #expect(reducer.take(Self.snapshot(8, Self.document(.running))).isEmpty)
    #expect(reducer.resumePoint?.after == 8)
    #expect(states(reducer.take(Self.snapshot(9, Self.document(.canceling)))) == [.canceling])
    #expect(states(reducer.take(Self.snapshot(9, Self.document(.canceled)))) == [.canceled])
  }

  @Test func aDocumentReadBeforeAnEventIsOutrun() {
    var reducer = FeedReducer(job: "j")
    _ = reducer.take(Self.status(3, .running))
    let old = JobSnapshot(json: Self.document(.assigned))
    #expect(old.map { reducer.take($0) } == [])
    #expect(reducer.take(Self.snapshot(4, Self.document(.pending))).isEmpty == false)
  }

  @Test func resetAsksForTheDocument() {
    var reducer = FeedReducer(job: "j")
    _ = reducer.take(Self.snapshot(100, Self.document(.running)))
    #expect(reducer.take(.reset(epoch: "f", sequence: 3)) == [.refetch])
    #expect(reducer.resumePoint?.epoch == "f")
    #expect(reducer.resumePoint?.after == 3)
    #expect(states(reducer.take(Self.status(4, .canceling, epoch: "f"))) == [.canceling])
  }

  @Test func anotherEpochWithoutResetReconnects() {
    var reducer = FeedReducer(job: "j")
    _ = reducer.take(Self.snapshot(100, Self.document(.running)))
    #expect(reducer.take(Self.status(101, .completed, epoch: "f")) == [.reconnect])
    #expect(!reducer.isEnded)
    reducer.forgetPlace()
    #expect(reducer.resumePoint == nil)
  }

  @Test func aSnapshotWithoutTheJobRefetches() {
    var reducer = FeedReducer(job: "j")
    #expect(reducer.take(Self.snapshot(1, Self.document(.running, job: "k"))) == [.refetch])
  }

  @Test func progressNeverFallsWithinATry() {
    var reducer = FeedReducer(job: "j")
    _ = reducer.take(Self.status(1, .running))
    #expect(reducer.take(Self.progress(10)).count == 1)
    #expect(reducer.take(Self.progress(10)).isEmpty)
    #expect(reducer.take(Self.progress(10, message: "m")).count == 1)
    #expect(reducer.take(Self.progress(9)).isEmpty)
    #expect(reducer.take(Self.progress(50)).count == 1)
    _ = reducer.take(Self.status(2, .running, tryNumber: 2))
    #expect(reducer.take(Self.progress(60)).isEmpty)
    #expect(reducer.take(Self.progress(5, tryNumber: 2)).count == 1)
  }

  @Test func marketAndPongAreNothingAndErrorsAreTold() {
    var reducer = FeedReducer(job: "j")
    #expect(reducer.take(.market(JSONObject())).isEmpty)
    #expect(reducer.take(.pong).isEmpty)
    #expect(reducer.take(.error(code: "c", message: "m")) == [.refused(code: "c", message: "m")])
  }

  /// Whatever is repeated, dropped in front or cut into reconnects: the statuses that come out are those that went in.
  @Test(arguments: UInt64(1)...60)
  func anyDelivery(_ seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let history: [JobState] = [.pending, .assigned, .running, .pending, .assigned, .running, .canceling, .canceled]
    let messages = history.enumerated().map { index, state in
      Self.status(Int64(index * 3 + 1), state, tryNumber: index < 3 ? 1 : 2)
    }
    var reducer = FeedReducer(job: "j")
    var seen: [JobState] = []
    while !reducer.isEnded {
      // A connection resumes after the last sequence, or a little before it, and breaks somewhere.
      let after = max(0, (reducer.resumePoint?.after ?? 0) - Int64.random(in: 0...6, using: &generator))
      let rest = messages.filter { if case .status(let status) = $0 { status.sequence > after } else { false } }
      for message in rest.prefix(Int.random(in: 0...rest.count, using: &generator)) {
        seen += states(reducer.take(message))
        if Bool.random(using: &generator) { seen += states(reducer.take(message)) }
      }
    }
    #expect(seen == history, "seed \(seed)")
  }
}
