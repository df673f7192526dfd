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

/// What `ZipWriter.add` tells about an entry.
public struct ZipAddedEntry: Equatable, Sendable {
  public let entry: ZipEntry
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
/// no extra fields beyond Zip64. Not for use by two threads at once.
public final class ZipWriter {
  /// The longest comment in bytes.
  public static let maximumCommentLength = 1024

  private let output: HashingOutput
  private let pipeline: DeflatePipeline
  private let probe: CompressionProbe
  private let isThreaded: Bool
  private let shouldContinue: ShouldContinue
  private var directory = PiecedBytes()
  private var entryCount = 0
  private var previousName: String?
  private var isClosed = false

  /// - Parameters:
  ///   - threads: how many threads compress; 1, the default, means that the caller's own does everything. With more,
  ///     hashing has its own too. Does not change the bytes.
  public init(sink: any ByteSink, threads: Int = 1, shouldContinue: @escaping ShouldContinue = { true }) throws {
    output = HashingOutput(sink: sink, threaded: threads > 1)
    isThreaded = threads > 1
    pipeline = try DeflatePipeline(threads: threads)
    probe = try CompressionProbe()
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
  ) throws -> ZipAddedEntry {
    guard !isClosed else { throw ZipWriteError.closed }
    isClosed = true
    try check(name)
    let input = ChunkReader(
      name: name, size: size, threaded: isThreaded, shouldContinue: shouldContinue, read: read)
    let added = try input.isLong ? addLong(name, input) : addShort(name, input)
    directory.append(added.entry.centralHeader)
    entryCount += 1
    previousName = name
    isClosed = false
    return added
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
    let end = ZipEnd(
      entryCount: UInt64(entryCount), directorySize: UInt64(directory.count), directoryOffset: output.count,
      commentLength: commentLength)
    for piece in directory.pieces { try output.write(piece) }
    directory = PiecedBytes()
    try output.write(end.bytes)
    if commentLength > 0 {
      let text = try comment(output.digestSoFar())
      guard text.count == commentLength, text.allSatisfy({ (0x20...0x7E).contains($0) }) else {
        throw ZipWriteError.badComment
      }
      try output.write(text)
    }
    return ZipSummary(size: output.count, sha256: try output.finish(), entryCount: entryCount)
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
  private func addShort(_ name: String, _ input: ChunkReader) throws -> ZipAddedEntry {
    let bytes = try input.next()
    var data = bytes
    var method = ZipMethod.stored
    if try isCompressible(bytes) {
      pipeline.submit(bytes, after: [], isLast: true)
      if let compressed = try pipeline.next(), compressed.count < bytes.count {
        data = compressed
        method = .deflated
      }
    }
    let entry = ZipEntry(
      name: name, method: method, size: input.size, compressedSize: UInt64(data.count), crc32: input.crc32,
      offset: output.count)
    try output.write(entry.localHeader)
    try output.write(data)
    return ZipAddedEntry(entry: entry, sha256: input.finish())
  }

  /// A file of several pieces: CRC and sizes follow the data.
  private func addLong(_ name: String, _ input: ChunkReader) throws -> ZipAddedEntry {
    let first = try input.next()
    let method: ZipMethod = try isCompressible(first) ? .deflated : .stored
    let offset = output.count
    func entry(compressedSize: UInt64) -> ZipEntry {
      ZipEntry(
        name: name, method: method, size: input.size, compressedSize: compressedSize, crc32: input.crc32,
        offset: offset)
    }
    let open = entry(compressedSize: 0)
    try output.write(open.localHeader)
    switch method {
    case .stored: try store(first, input)
    case .deflated: try deflate(first, input)
    }
    let entry = entry(compressedSize: output.count - open.dataOffset)
    try output.write(entry.descriptor)
    return ZipAddedEntry(entry: entry, sha256: input.finish())
  }

  private func store(_ first: [UInt8], _ input: ChunkReader) throws {
    var piece = first
    while true {
      try output.write(piece)
      if input.isAtEnd { return }
      piece = try input.next()
    }
  }

  private func deflate(_ first: [UInt8], _ input: ChunkReader) throws {
    var piece = first
    var dictionary: [UInt8] = []
    do {
      while true {
        pipeline.submit(piece, after: dictionary, isLast: input.isAtEnd)
        if input.isAtEnd { break }
        dictionary = Array(piece.suffix(Deflater.windowSize))
        piece = try input.next()
        while pipeline.isFull, let compressed = try pipeline.next() { try output.write(compressed) }
      }
      while let compressed = try pipeline.next() { try output.write(compressed) }
    } catch {
      pipeline.cancel()
      throw error
    }
  }

  private func isCompressible(_ bytes: [UInt8]) throws -> Bool {
    guard !bytes.isEmpty else { return false }
    return try bytes.withUnsafeBytes {
      try probe.isCompressible(UnsafeRawBufferPointer(rebasing: $0.prefix(CompressionProbe.entrySample)))
    }
  }
}
