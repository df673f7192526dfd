import Marketplace
import Wire

/// A range of log to read for a reader.
struct LogRead: Hashable, Sendable {
  let job: JobID
  let tryNumber: Int
  let stream: LogStream
  let offset: Int64
  let limit: Int
}

/// What a reader of logs has to be given next.
enum LogStep: Hashable {
  case nothing
  case read(LogRead)
  case piece(LogPiece)
}

/// A reader's place in the logs of one job: try after try, each stream from its offset to its end record.
struct LogCursor {
  private struct Progress {
    var offset: Int64 = 0
    /// The end record was given.
    var isEnded = false
    /// Reading again is of no use until there are more bytes than this: the tail is a torn character.
    var idle: Int64 = 0
  }

  let job: JobID
  /// Where to begin in the try that is present when the state is first known.
  private let offsets: [LogStream: Int64]
  private var extents: [LogExtent] = []
  private var stdout = Progress()
  private var stderr = Progress()
  private var turn = LogStream.stdout
  private(set) var isLoaded = false
  private var isTerminal = false

  init(job: JobID, offsets: [LogStream: Int64]) {
    self.job = job
    self.offsets = offsets
  }

  private subscript(stream: LogStream) -> Progress {
    get { stream == .stdout ? stdout : stderr }
    set { if stream == .stdout { stdout = newValue } else { stderr = newValue } }
  }

  // MARK: What there is

  /// The state of the job's latest try, as the store has it.
  mutating func load(_ state: LogState) {
    if !isLoaded, state.tryNumber > 0 {
      for stream in LogStream.allCases { self[stream].offset = offsets[stream] ?? 0 }
    }
    isLoaded = true
    isTerminal = isTerminal || state.isTerminal
    guard state.tryNumber > 0 else { return }
    for stream in LogStream.allCases {
      merge(
        tryNumber: state.tryNumber, stream: stream, length: state.lengths[stream] ?? 0, fact: state.facts[stream])
    }
  }

  /// News of one stream. Before the state is loaded they are kept by the hub and come again.
  mutating func merge(tryNumber: Int, stream: LogStream, length: Int64, fact: LogFact?) {
    guard isLoaded, tryNumber >= extents.first?.tryNumber ?? 1 else { return }
    extents.merge(tryNumber: tryNumber, stream: stream, length: length, fact: fact)
  }

  // MARK: What to do next

  /// Everything was given, and no more will come.
  var isFinished: Bool {
    guard isLoaded, isTerminal, extents.count <= 1 else { return false }
    return LogStream.allCases.allSatisfy(isDone)
  }

  mutating func next(limit: Int) -> LogStep {
    guard isLoaded else { return .nothing }
    while let extent = extents.first {
      turn = turn == .stdout ? .stderr : .stdout
      for stream in [turn, turn == .stdout ? .stderr : .stdout] {
        let step = next(stream, of: extent, limit: limit)
        if step != .nothing { return step }
      }
      guard extents.count > 1, LogStream.allCases.allSatisfy(isDone) else { return .nothing }
      extents.removeFirst()
      stdout = Progress()
      stderr = Progress()
    }
    return .nothing
  }

  /// Whether this is what the reader lacks; not when it has subscribed again since.
  func expects(_ read: LogRead) -> Bool {
    job == read.job && extents.first?.tryNumber == read.tryNumber && self[read.stream].offset == read.offset
  }

  /// The bytes of a read. Nil: nothing to give yet.
  mutating func took(_ bytes: [UInt8], for read: LogRead) -> LogPiece? {
    guard expects(read), let extent = extents.first else { return nil }
    let known = extent[read.stream]
    let reached = read.offset + Int64(bytes.count)
    let isLast = reached >= known.length && (known.fact != nil || isClosed)
    // A torn character is worth waiting for only at the end of what there is.
    let cut = isLast ? bytes.count : UTF8Cut.length(bytes)
    let length = cut == 0 && reached < known.length ? bytes.count : cut
    self[read.stream].offset += Int64(length)
    self[read.stream].idle = length < bytes.count ? reached : 0
    guard length > 0 else { return nil }
    let end = isLast ? known.fact : nil
    if end != nil { self[read.stream].isEnded = true }
    return LogPiece(
      job: job.rawValue, stream: read.stream, tryNumber: read.tryNumber, offset: read.offset,
      data: Array(bytes.prefix(length)), end: end)
  }

  /// No byte will be added to the try that is being read.
  private var isClosed: Bool { extents.count > 1 || isTerminal }

  private func isDone(_ stream: LogStream) -> Bool {
    guard let known = extents.first?[stream] else { return true }
    return self[stream].isEnded || (known.fact == nil && isClosed && self[stream].offset >= known.length)
  }

  private mutating func next(_ stream: LogStream, of extent: LogExtent, limit: Int) -> LogStep {
    let place = self[stream]
    let known = extent[stream]
    if place.offset < known.length {
      guard known.length > place.idle || known.fact != nil || isClosed else { return .nothing }
      let count = min(Int64(max(4, limit)), known.length - place.offset)
      return .read(
        LogRead(
          job: job, tryNumber: extent.tryNumber, stream: stream, offset: place.offset, limit: Int(count)))
    }
    guard let fact = known.fact, !place.isEnded else { return .nothing }
    self[stream].isEnded = true
    return .piece(
      LogPiece(
        job: job.rawValue, stream: stream, tryNumber: extent.tryNumber, offset: fact.length, data: [], end: fact))
  }
}
