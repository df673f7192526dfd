import Dispatch

/// Compresses the pieces of a file, on other threads when there are any, and gives them back in their order.
///
/// At most two pieces for each thread are under way. Used by one thread at a time; `next` must be called until it
/// gives nil before the pipeline is let go or used for another file.
final class DeflatePipeline {
  private let workers: [Worker]
  private var pending: [Job] = []
  private var nextWorker = 0

  /// - Parameter threads: how many threads compress; 1 means the caller's own.
  init(threads: Int) throws {
    workers = try (0..<max(1, min(threads, 64))).map { _ in try Worker(threaded: threads > 1) }
  }

  var isFull: Bool { pending.count >= workers.count * 2 }

  /// Takes the next piece and the bytes before it.
  func submit(_ input: [UInt8], after dictionary: [UInt8], isLast: Bool) {
    let job = Job(input: input, dictionary: dictionary, isLast: isLast)
    pending.append(job)
    workers[nextWorker].start(job)
    nextWorker = (nextWorker + 1) % workers.count
  }

  /// The oldest piece, compressed; nil when all were given.
  func next() throws -> [UInt8]? {
    guard !pending.isEmpty else { return nil }
    return try pending.removeFirst().wait()
  }

  /// Waits for what is under way and forgets it.
  func cancel() {
    while !pending.isEmpty { _ = try? pending.removeFirst().wait() }
    nextWorker = 0
  }
}

/// One piece on its way.
///
/// `@unchecked Sendable`: the worker writes `result` before it signals, the owner reads it after it waited.
private final class Job: @unchecked Sendable {
  let input: [UInt8]
  let dictionary: [UInt8]
  let isLast: Bool
  var result: Result<[UInt8], any Error> = .success([])
  let isDone = DispatchSemaphore(value: 0)

  init(input: [UInt8], dictionary: [UInt8], isLast: Bool) {
    self.input = input
    self.dictionary = dictionary
    self.isLast = isLast
  }

  func wait() throws -> [UInt8] {
    isDone.wait()
    return try result.get()
  }
}

/// One thread's compressor.
///
/// `@unchecked Sendable`: its zlib state is used on its serial queue only, or, without a queue, by its owner only.
private final class Worker: @unchecked Sendable {
  private let deflater: Deflater
  private let probe: CompressionProbe
  private let queue: DispatchQueue?

  init(threaded: Bool) throws {
    deflater = try Deflater()
    probe = try CompressionProbe()
    queue = threaded ? DispatchQueue(label: "deflate") : nil
  }

  func start(_ job: Job) {
    if let queue {
      queue.async { self.run(job) }
    } else {
      run(job)
    }
  }

  private func run(_ job: Job) {
    job.result = Result { try compress(job) }
    job.isDone.signal()
  }

  private func compress(_ job: Job) throws -> [UInt8] {
    var output: [UInt8] = []
    try job.input.withUnsafeBytes { input in
      let sample = UnsafeRawBufferPointer(rebasing: input.prefix(CompressionProbe.pieceSample))
      guard try probe.isCompressible(sample) else {
        Deflater.store(input, isLast: job.isLast, to: &output)
        return
      }
      try job.dictionary.withUnsafeBytes { dictionary in
        try deflater.compress(input, after: dictionary, isLast: job.isLast, to: &output)
      }
    }
    return output
  }
}
