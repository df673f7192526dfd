import Dispatch
import Synchronization

/// One piece of a file on its way through deflate.
///
/// `@unchecked Sendable`: a worker writes `result` before it signals, the owner reads it after it waited.
final class DeflateJob: @unchecked Sendable {
  fileprivate let input: Piece
  /// The piece before it, whose end serves as the dictionary.
  fileprivate let previous: Piece?
  fileprivate let isLast: Bool
  fileprivate var result: Result<[UInt8], any Error> = .success([])
  fileprivate let isDone = DispatchSemaphore(value: 0)

  init(_ input: Piece, after previous: Piece?, isLast: Bool) {
    self.input = input
    self.previous = previous
    self.isLast = isLast
  }

  /// Of the piece as it was.
  var byteCount: Int { input.count }

  /// The compressed piece, once it is there. Asked once.
  func wait() throws -> [UInt8] {
    isDone.wait()
    return try result.get()
  }
}

/// Compresses pieces, on other threads when there are any; the first that is free takes the next piece.
final class DeflatePool: Sendable {
  private struct State {
    var idle: [DeflateWorker]
    var waiting = Queue<DeflateJob>()
  }

  private let state: Mutex<State>
  /// Nil: the caller's own thread does it.
  private let queue: DispatchQueue?
  /// How many pieces are compressed at once, at most 64.
  let width: Int

  init(threads: Int) throws {
    width = max(1, min(threads, 64))
    queue = width > 1 ? DispatchQueue(label: "deflate", attributes: .concurrent) : nil
    state = Mutex(State(idle: try (0..<width).map { _ in try DeflateWorker() }))
  }

  func submit(_ job: DeflateJob) {
    let worker = state.withLock { state in
      let worker = state.idle.popLast()
      if worker == nil { state.waiting.append(job) }
      return worker
    }
    guard let worker else { return }
    if let queue {
      queue.async { self.work(worker, job) }
    } else {
      work(worker, job)
    }
  }

  private func work(_ worker: DeflateWorker, _ first: DeflateJob) {
    var job = first
    while true {
      worker.run(job)
      let next = state.withLock { state in
        let next = state.waiting.popFirst()
        if next == nil { state.idle.append(worker) }
        return next
      }
      guard let next else { return }
      job = next
    }
  }
}

/// One thread's compressor.
///
/// `@unchecked Sendable`: it is either idle in the pool or at work for one thread.
private final class DeflateWorker: @unchecked Sendable {
  private let deflater: Deflater
  private let probe: CompressionProbe

  init() throws {
    deflater = try Deflater()
    probe = try CompressionProbe()
  }

  func run(_ job: DeflateJob) {
    job.result = Result { try compress(job) }
    job.isDone.signal()
  }

  private func compress(_ job: DeflateJob) throws -> [UInt8] {
    try job.input.withBytes { input in
      let sample = UnsafeRawBufferPointer(rebasing: input.prefix(CompressionProbe.pieceSample))
      guard try probe.isCompressible(sample) else { return Deflater.stored(input, isLast: job.isLast) }
      guard let previous = job.previous else {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        return Array(try deflater.compress(input, after: none, isLast: job.isLast))
      }
      return try previous.withBytes { previous in
        let dictionary = UnsafeRawBufferPointer(rebasing: previous.suffix(Deflater.windowSize))
        return Array(try deflater.compress(input, after: dictionary, isLast: job.isLast))
      }
    }
  }
}
