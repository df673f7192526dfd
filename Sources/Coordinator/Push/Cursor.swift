/// Where a topic stands: when a reader is placed on it, or as far as readers in step have it.
struct TopicMark: Hashable, Sendable {
  /// The last event of the whole market that was published; for readers in step, the last that they have.
  var published: Int64
  /// Events ever appended to the topic.
  var endPosition: UInt64
  /// The version of its newest progress.
  var version: UInt64
}

/// What a reader has to be given next.
enum CursorStep<Frame: Sendable>: Sendable {
  /// Nothing.
  case caughtUp
  case batch(RunBatch<Frame>)
  /// The run has moved past the reader, or never held what it lacks: read from the store. `floor` is where the run
  /// began when this was decided.
  case history(after: Int64, floor: Int64)
}

/// A reader's place in a topic: it has every event up to `sequence` and none after it.
struct Cursor: Hashable, Sendable {
  private(set) var sequence: Int64 = 0
  /// Counts as ``TopicRun/endPosition`` does.
  private(set) var position: UInt64 = 0
  /// Events up to here were published before the reader was placed; reading them is no lag.
  private var joined: Int64 = 0
  /// The version of the newest progress it has.
  private(set) var version: UInt64 = 0

  /// Goes on after `sequence`; progress published up to now is behind it.
  mutating func place(after sequence: Int64, at mark: TopicMark) {
    self.sequence = sequence
    position = mark.endPosition
    joined = max(sequence, mark.published)
    version = mark.version
  }

  /// Gets only progress (and market figures): all of what is there.
  mutating func placeAtFirstVersion() { version = 0 }

  func step<Frame>(in run: TopicRun<Frame>, limit: Int) -> CursorStep<Frame> {
    guard sequence < run.last else { return .caughtUp }
    guard let batch = run.batch(after: sequence, limit: limit) else {
      return .history(after: sequence, floor: run.floor)
    }
    return .batch(batch)
  }

  mutating func delivered<Frame>(_ batch: RunBatch<Frame>) {
    sequence = max(sequence, batch.sequence)
    position = max(position, batch.position)
  }

  /// Takes a page that was read after `floor` was published. Returns the sequences that are new to the reader.
  /// - isLast: the log held no more when the page was read, so the reader has all up to `floor` as well.
  mutating func delivered(history sequences: [Int64], floor: Int64, isLast: Bool) -> ArraySlice<Int64> {
    let new = sequences.drop { $0 <= sequence }
    position += UInt64(new.count { $0 > joined })
    sequence = max(sequence, new.last ?? sequence, isLast ? floor : sequence)
    return new
  }

  /// Takes over what readers in step have; its own may be further on in events of other topics.
  mutating func take(_ mark: TopicMark) {
    sequence = max(sequence, mark.published)
    position = max(position, mark.endPosition)
    version = max(version, mark.version)
  }

  mutating func delivered(version: UInt64) { self.version = max(self.version, version) }

  /// Events published since the reader was placed that it lacks.
  func behind(_ endPosition: UInt64) -> UInt64 { endPosition > position ? endPosition - position : 0 }
}
