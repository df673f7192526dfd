import Cryptography

/// Reads a file of an announced size in whole pieces, and takes its digest and CRC on the way.
final class ChunkReader {
  let size: UInt64
  private let name: String
  private let shouldContinue: ShouldContinue
  private let pool: PiecePool
  private let read: (UnsafeMutableRawBufferPointer) throws -> Int
  private let digests: OffThread<Digests>
  private var done: UInt64 = 0

  init(
    name: String, size: UInt64, pool: PiecePool, threaded: Bool, shouldContinue: @escaping ShouldContinue,
    read: @escaping (UnsafeMutableRawBufferPointer) throws -> Int
  ) {
    self.name = name
    self.size = size
    self.pool = pool
    self.shouldContinue = shouldContinue
    self.read = read
    // A single piece is not worth the way to another thread.
    digests = OffThread(Digests(), threaded: threaded && size > UInt64(ZipFormat.chunkSize))
  }

  private struct Digests {
    var crc32 = Checksum()
    let sha256 = SHA256()

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
      crc32.update(bytes)
      sha256.update(bytes)
    }
  }

  var isLong: Bool { size > UInt64(ZipFormat.chunkSize) }
  var isAtEnd: Bool { done == size }
  /// Of the pieces read so far.
  var crc32: UInt32 { digests.result(\.crc32.value) }
  /// Of the pieces read so far.
  var sha256: SHA256Digest { digests.result { $0.sha256.digestSoFar() } }

  /// The next piece: full, but for the last one.
  func next() throws -> Piece {
    guard shouldContinue() else { throw OperationCanceled() }
    let wanted = Int(min(size - done, UInt64(ZipFormat.chunkSize)))
    let piece = try Piece(count: wanted, pool: pool) { buffer in
      var filled = 0
      while filled < wanted {
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<wanted])
        let count = try read(rest)
        guard (1...rest.count).contains(count) else { throw ZipWriteError.sizeDiffers(name: name, announced: size) }
        filled += count
      }
    }
    done += UInt64(wanted)
    digests.perform(piece) { digests, bytes in digests.update(bytes) }
    if isAtEnd { try checkEnd() }
    return piece
  }

  /// A source that has more than it announced is wrong too.
  private func checkEnd() throws {
    let more = try withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { try read($0) }
    guard more == 0 else { throw ZipWriteError.sizeDiffers(name: name, announced: size) }
  }
}
