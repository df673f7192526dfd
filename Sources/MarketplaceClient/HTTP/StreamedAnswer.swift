public import NIOCore

/// An answer whose body is still to be read.
public struct StreamedAnswer: Sendable {
  public let status: Int
  public let headers: AnswerHeaders
  public let body: AnswerBody
}

/// A body as it arrives, once. Throws ``ClientError`` when the connection breaks, and `CancellationError`.
public struct AnswerBody: AsyncSequence, Sendable {
  public typealias Element = ByteBuffer

  let source: ReceivedAnswer.Body
  /// Where it comes from.
  let url: String

  public func makeAsyncIterator() -> Iterator { Iterator(source: source.makeAsyncIterator(), url: url) }

  public struct Iterator: AsyncIteratorProtocol {
    var source: ReceivedAnswer.Body.AsyncIterator
    let url: String

    public mutating func next() async throws -> ByteBuffer? {
      do {
        return try await source.next()
      } catch {
        if error is CancellationError || Task.isCancelled { throw CancellationError() }
        throw ClientError.unreachable(url: url, reason: NetworkFailure.describe(error))
      }
    }
  }

  /// The same as plain bytes.
  public var pieces: some AsyncSequence<[UInt8], any Error> & Sendable { map { Array(buffer: $0) } }

  /// The whole body. Throws `NIOTooManyBytesError` when it has more than `limit` bytes.
  public func bytes(upTo limit: Int) async throws -> [UInt8] {
    let buffer = try await source.collect(upTo: limit)
    return Array(buffer: buffer)
  }
}

/// A stretch of a file as a request body, read piece by piece as the connection takes it.
public struct UploadBody: AsyncSequence, Sendable {
  public typealias Element = ByteBuffer

  /// 256 KiB at a time.
  static let pieceBytes = 256 << 10

  private let file: OpenFile
  private let range: Range<Int64>
  private let progress: (@Sendable (Int64) -> Void)?

  /// `progress` is told how far the file was read, in bytes from its start.
  init(_ file: OpenFile, _ range: Range<Int64>, progress: (@Sendable (Int64) -> Void)?) {
    self.file = file
    self.range = range
    self.progress = progress
  }

  /// Bytes in all.
  public var length: Int64 { range.upperBound - range.lowerBound }

  public func makeAsyncIterator() -> Iterator {
    Iterator(file: file, offset: range.lowerBound, end: range.upperBound, progress: progress)
  }

  public struct Iterator: AsyncIteratorProtocol {
    let file: OpenFile
    var offset: Int64
    let end: Int64
    let progress: (@Sendable (Int64) -> Void)?

    public mutating func next() async throws -> ByteBuffer? {
      guard offset < end else { return nil }
      let bytes = try file.read(at: offset, count: Int(Swift.min(Int64(UploadBody.pieceBytes), end - offset)))
      guard !bytes.isEmpty else {
        throw ClientError.unexpected("\(file.path) became shorter while it was sent")
      }
      offset += Int64(bytes.count)
      progress?(offset)
      return ByteBuffer(bytes: bytes)
    }
  }
}
