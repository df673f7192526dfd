import Cryptography

/// Reads a file of an announced size in whole pieces, and takes its digest and CRC on the way.
final class ChunkReader {
  let size: UInt64
  private let name: String
  private let shouldContinue: ShouldContinue
  private let read: (UnsafeMutableRawBufferPointer) throws -> Int
  private let hasher = SHA256()
  private let checksum: OffThread<Checksum>
  private var done: UInt64 = 0

  init(
    name: String, size: UInt64, threaded: Bool, shouldContinue: @escaping ShouldContinue,
    read: @escaping (UnsafeMutableRawBufferPointer) throws -> Int
  ) {
    self.name = name
    self.size = size
    self.shouldContinue = shouldContinue
    self.read = read
    // A single piece is not worth the way to another thread.
    checksum = OffThread(Checksum(), threaded: threaded && size > UInt64(ZipFormat.chunkSize))
  }

  var isLong: Bool { size > UInt64(ZipFormat.chunkSize) }
  var isAtEnd: Bool { done == size }
  /// Of the pieces read so far.
  var crc32: UInt32 { checksum.result(\.value) }

  /// The next piece: full, but for the last one.
  func next() throws -> [UInt8] {
    guard shouldContinue() else { throw OperationCanceled() }
    let wanted = Int(min(size - done, UInt64(ZipFormat.chunkSize)))
    let piece = try [UInt8](unsafeUninitializedCapacity: wanted) { buffer, filled in
      while filled < wanted {
        let rest = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[filled..<wanted])
        let count = try read(rest)
        guard (1...rest.count).contains(count) else { throw ZipWriteError.sizeDiffers(name: name, announced: size) }
        filled += count
      }
    }
    done += UInt64(wanted)
    checksum.perform(piece) { checksum, bytes in checksum.update(bytes) }
    piece.withUnsafeBytes { hasher.update($0) }
    if isAtEnd { try checkEnd() }
    return piece
  }

  func finish() -> SHA256Digest { hasher.finalize() }

  /// A source that has more than it announced is wrong too.
  private func checkEnd() throws {
    let more = try withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { try read($0) }
    guard more == 0 else { throw ZipWriteError.sizeDiffers(name: name, announced: size) }
  }
}
