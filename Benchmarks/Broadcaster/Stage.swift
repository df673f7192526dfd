import Clocks
import Coordinator
import JSON
import Marketplace
import NIOCore
import Store
import Synchronization
import WebSocketTransport
import Wire

/// The hub, one account that everyone watches, and one job whose events are the messages.
final class Stage: Sendable {
  let hub: PushHub
  private let account: AccountID
  private let job: JobID
  private let source: EndlessSource
  private let count = Atomic<Int>(0)

  init(limits: FeedLimits) {
    var random = SystemRandomNumberGenerator()
    let now = Timestamp(milliseconds: 1_770_000_000_000)
    account = AccountID(at: now, using: &random)
    job = JobID(at: now, using: &random)
    source = EndlessSource(account: account, job: job)
    hub = PushHub(source: source, clock: SystemClock(), lastSequence: 0, limits: limits)
  }

  /// Readers that were let in.
  var opened: Int { count.load(ordering: .relaxed) }
  var published: Int64 { source.last.load(ordering: .relaxed) }

  /// Everyone may watch; `?after=SEQ` resumes.
  func admit(target: String) throws -> WebSocketAdmission {
    let ticket = try hub.admit(address: nil, account: account)
    let after = target.split(separator: "after=").dropFirst().first.flatMap { Int64($0.prefix { $0.isNumber }) }
    let resume = after.map { FeedResume(epoch: source.epoch, after: $0) }
    return .accept(session: { [self] in
      count.add(1, ordering: .relaxed)
      return hub.session(scope: .account, account: account, resume: resume, ticket: ticket)
    })
  }

  func publish(burst: Int, size: Int) {
    let first = source.last.add(Int64(burst), ordering: .relaxed).oldValue + 1
    let frames = (0..<burst).map { EncodedFrame.text(Message.make(sequence: first + Int64($0), size: size)) }
    hub.publish(frames, first: first, account: account, job: job)
  }

  /// Readers that have not yet everything that was published. Call on the loop; with several loops, of that loop's.
  var readersApart: Int {
    hub.eventLoops.filter(\.inEventLoop).reduce(0) { $0 + hub.readersApart(on: $1) }
  }
}

/// Messages of a given size that say when they were made.
enum Message {
  static let minimumSize = 100

  static func make(sequence: Int64, size: Int) -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.reserveCapacity(size)
    buffer.writeString(
      "{\"t\":\(NIODeadline.now().uptimeNanoseconds),\"seq\":\(sequence),\"type\":\"job.update\",\"pad\":\"")
    buffer.writeRepeatingByte(UInt8(ascii: "x"), count: size - buffer.readableBytes - 2)
    buffer.writeString("\"}")
    return buffer
  }
}

/// A log of events that holds every sequence up to the last, without storing one.
private final class EndlessSource: FeedSource {
  let epoch = "bench"
  let last = Atomic<Int64>(0)
  private let account: AccountID
  private let job: JobID

  init(account: AccountID, job: JobID) {
    self.account = account
    self.job = job
  }

  func account(forKey key: String) async throws -> AccountID? { nil }

  func snapshot(account: AccountID, job: JobID?) async throws -> FeedSnapshot {
    FeedSnapshot(sequence: last.load(ordering: .relaxed), jobs: [], isTruncated: false)
  }

  func sequenceBounds() async throws -> SequenceBounds {
    SequenceBounds(first: 1, last: last.load(ordering: .relaxed))
  }

  func events(after sequence: Int64, account: AccountID?, job: JobID?, limit: Int) async throws -> [JobEvent] {
    let end = min(last.load(ordering: .relaxed), sequence + Int64(limit))
    guard sequence < end else { return [] }
    return (sequence + 1...end).map { sequence in
      JobEvent(
        sequence: sequence, job: self.job, account: self.account, at: Timestamp(milliseconds: 1_770_000_000_000),
        state: .running, attempt: 1, tryNumber: 1, miner: nil, progress: 0, error: nil, exitCode: nil,
        cancelOutcome: nil)
    }
  }

  func owns(account: AccountID, job: JobID) async throws -> Bool { true }
  func logState(job: JobID) async throws -> LogState? { nil }
  func logBytes(job: JobID, tryNumber: Int, stream: LogStream, offset: Int64, limit: Int) async throws -> [UInt8] { [] }
}
