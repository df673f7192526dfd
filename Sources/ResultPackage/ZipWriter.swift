public import Cryptography

/// Why the writer refused an entry, or gave up. The archive is then useless and every further call throws `closed`.
public enum ZipWriteError: Error, Equatable, Sendable {
  /// The name does not come after the one before it in bytewise order.
  case outOfOrder(previous: String, name: String)
  case badName(String, ArtifactPathError)
  /// The source gave another number of bytes than it announced.
  case sizeDiffers(name: String, announced: UInt64)
  /// The comment is over 1,024 bytes or has bytes other than printable ASCII, or is not of the length announced.
  case badComment
  /// The archive was finished, or an error came before.
  case closed
}

/// What `ZipWriter.add` tells about a file.
public struct ZipAddedFile: Equatable, Sendable {
  /// In bytes.
  public let size: UInt64
  /// The digest of the file's own bytes.
  public let sha256: SHA256Digest
}

/// What `ZipWriter.finish` tells about an archive.
public struct ZipSummary: Equatable, Sendable {
  /// The archive's length in bytes.
  public let size: UInt64
  /// The digest of all its bytes.
  public let sha256: SHA256Digest
  public let entryCount: Int
}

/// Writes a ZIP archive in one pass, in memory that does not grow with the files' sizes (some 100 bytes an entry are
/// kept for the central directory).
///
/// The same entries give the same bytes, on any number of threads: fixed times and modes, names in bytewise order,
/// no extra fields beyond Zip64. What is compressed is written a little later than it is read, across the ends of
/// files, so that no thread waits for a file's end. Not for use by two threads at once.
public final class ZipWriter {
  /// The longest comment in bytes.
  public static let maximumCommentLength = 1024
  /// Files and pieces that wait for their turn at most, however small.
  private static let maximumSteps = 512

  private let output: ZipOutput
  private let pool: DeflatePool
  private let pieces = PiecePool()
  private let probe: CompressionProbe
  private let shouldContinue: ShouldContinue
  private let maximumWaitingBytes: Int
  private var steps = Queue<ZipOutput.Step>()
  private var waitingBytes = 0
  private var previousName: String?
  private var isClosed = false

  private var isThreaded: Bool { pool.width > 1 }

  /// - Parameters:
  ///   - threads: how many threads compress; 1, the default, means that the caller's own does everything. With more,
  ///     hashing has its own too. Does not change the bytes.
  public init(sink: any ByteSink, threads: Int = 1, shouldContinue: @escaping ShouldContinue = { true }) throws {
    output = ZipOutput(sink: sink, threaded: threads > 1)
    pool = try DeflatePool(threads: threads)
    probe = try CompressionProbe()
    maximumWaitingBytes = threads > 1 ? pool.width * 3 * ZipFormat.chunkSize : 0
    self.shouldContinue = shouldContinue
  }

  /// Adds a file.
  ///
  /// - Parameters:
  ///   - name: its whole name, after all names before it in bytewise order.
  ///   - size: its length in bytes.
  ///   - read: fills a part of the buffer, at least one byte, with what comes next and tells how much; 0 at the end.
  public func add(
    name: String, size: UInt64, read: @escaping (UnsafeMutableRawBufferPointer) throws -> Int
  ) throws -> ZipAddedFile {
    guard !isClosed else { throw ZipWriteError.closed }
    isClosed = true
    try check(name)
    let input = ChunkReader(
      name: name, size: size, pool: pieces, threaded: isThreaded, shouldContinue: shouldContinue, read: read)
    try input.isLong ? addLong(name, input) : addShort(name, input)
    previousName = name
    isClosed = false
    return ZipAddedFile(size: size, sha256: input.sha256)
  }

  /// Ends the archive without a comment.
  public func finish() throws -> ZipSummary { try finish(commentLength: 0) { _ in [] } }

  /// Ends the archive with a comment that may depend on all the bytes before it.
  ///
  /// - Parameters:
  ///   - commentLength: the comment's length, at most 1,024 bytes; it stands in the bytes before the comment.
  ///   - comment: makes the comment, in printable ASCII, from the digest of all the bytes before it.
  public func finish(commentLength: Int, comment: (SHA256Digest) throws -> [UInt8]) throws -> ZipSummary {
    guard !isClosed else { throw ZipWriteError.closed }
    isClosed = true
    guard (0...Self.maximumCommentLength).contains(commentLength) else { throw ZipWriteError.badComment }
    while let step = steps.popFirst() { try output.perform(step) }
    return try output.finish(commentLength: commentLength, comment: comment)
  }

  private func check(_ name: String) throws {
    do {
      try ArchiveName.check(name)
    } catch {
      throw ZipWriteError.badName(name, error)
    }
    if let previousName, !bytewiseLess(previousName, name) {
      throw ZipWriteError.outOfOrder(previous: previousName, name: name)
    }
  }

  /// A file of one piece: compressed in memory, so that its header can say everything, and stored if that is smaller.
  private func addShort(_ name: String, _ input: ChunkReader) throws {
    let bytes = try input.next()
    let job = try isCompressible(bytes) ? DeflateJob(bytes, after: nil, isLast: true) : nil
    if let job { pool.submit(job) }
    try enqueue(.short(name: name, bytes: bytes, crc32: input.crc32, job: job), bytes: bytes.count)
  }

  /// A file of several pieces: CRC and sizes follow the data.
  private func addLong(_ name: String, _ input: ChunkReader) throws {
    var piece = try input.next()
    let method: ZipMethod = try isCompressible(piece) ? .deflated : .stored
    try enqueue(.begin(name: name, size: input.size, method: method), bytes: 0)
    var previous: Piece?
    while true {
      switch method {
      case .stored: try enqueue(.stored(piece), bytes: piece.count)
      case .deflated:
        let job = DeflateJob(piece, after: previous, isLast: input.isAtEnd)
        pool.submit(job)
        try enqueue(.deflated(job), bytes: piece.count)
      }
      if input.isAtEnd { break }
      previous = piece
      piece = try input.next()
    }
    try enqueue(.end(crc32: input.crc32), bytes: 0)
  }

  /// Puts something behind what waits to be written, and writes the oldest while too much waits.
  private func enqueue(_ step: ZipOutput.Step, bytes: Int) throws {
    steps.append(step)
    waitingBytes += bytes
    while waitingBytes > maximumWaitingBytes || steps.count > Self.maximumSteps || !isThreaded,
      let step = steps.popFirst()
    {
      waitingBytes -= try output.perform(step)
    }
  }

  private func isCompressible(_ bytes: Piece) throws -> Bool {
    guard bytes.count > 0 else { return false }
    return try bytes.withBytes {
      try probe.isCompressible(UnsafeRawBufferPointer(rebasing: $0.prefix(CompressionProbe.entrySample)))
    }
  }
}
