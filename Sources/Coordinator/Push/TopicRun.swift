import DequeModule
import Marketplace

/// The latest durable events of one topic: an append-only run, bounded in count and bytes, that forgets at the front.
/// Any number of readers share it; each is a ``Cursor``.
struct TopicRun<Frame: Sendable>: Sendable {
  struct Entry: Sendable {
    let sequence: Int64
    /// Bytes on the wire.
    let size: Int
    /// Set when the event ended this job.
    let ended: JobID?
    let frame: Frame
  }

  private let maximumCount: Int
  private let maximumBytes: Int
  private var entries: Deque<Entry> = []
  private(set) var bytes = 0
  /// Every event of the topic after this one is in the run.
  private(set) var floor: Int64
  /// Counts the events ever appended.
  private(set) var endPosition: UInt64 = 0

  /// `floor` is the last event that was published before the run began.
  init(after floor: Int64, maximumCount: Int, maximumBytes: Int) {
    self.floor = floor
    self.maximumCount = max(1, maximumCount)
    self.maximumBytes = maximumBytes
  }

  var count: Int { entries.count }
  /// The newest event's sequence.
  var last: Int64 { entries.last?.sequence ?? floor }

  /// Sequences must rise; an entry that does not is a repetition and is ignored.
  mutating func append(_ entry: Entry) {
    guard entry.sequence > last else { return }
    entries.append(entry)
    endPosition += 1
    bytes += entry.size
    // The newest one stays, however large.
    while entries.count > maximumCount || (bytes > maximumBytes && entries.count > 1) {
      let old = entries.removeFirst()
      bytes -= old.size
      floor = old.sequence
    }
  }

  /// What comes after `sequence`, up to `limit` bytes and at least one event; nil when the run has moved past it.
  func batch(after sequence: Int64, limit: Int) -> RunBatch<Frame>? {
    guard sequence >= floor else { return nil }
    let start = index(after: sequence)
    var batch = RunBatch<Frame>(base: sequence, position: endPosition - UInt64(entries.count - start))
    var room = limit
    for entry in entries[start...] {
      room -= entry.size
      if room < 0, !batch.frames.isEmpty {
        batch.isWhole = false
        break
      }
      batch.append(entry)
    }
    return batch
  }

  /// The first entry above `sequence`.
  private func index(after sequence: Int64) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].sequence > sequence { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

/// A piece of a run.
struct RunBatch<Frame: Sendable>: Sendable {
  /// What the reader had.
  let base: Int64
  /// The first event's sequence; nil when there is none.
  private(set) var first: Int64?
  /// What the reader has afterwards.
  private(set) var sequence: Int64
  /// The position after the last event.
  private(set) var position: UInt64
  private(set) var frames: [Frame] = []
  /// Jobs that ended in it.
  private(set) var ended: [JobID] = []
  /// Nothing is left in the run after it.
  var isWhole = true

  init(base: Int64, position: UInt64) {
    self.base = base
    self.position = position
    sequence = base
  }

  mutating func append(_ entry: TopicRun<Frame>.Entry) {
    if first == nil { first = entry.sequence }
    sequence = entry.sequence
    position += 1
    frames.append(entry.frame)
    if let job = entry.ended { ended.append(job) }
  }
}
