import Synchronization

/// Bytes that can be looked at from any thread.
protocol ByteRun: Sendable {
  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result
}

extension [UInt8]: ByteRun {
  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try withUnsafeBytes(body)
  }
}

/// A piece of a file. The memory of full pieces is used again: to get fresh memory for each costs as much as hashing a
/// tenth of it.
///
/// `@unchecked Sendable`: it is written by the one who makes it, before anybody else has it.
final class Piece: ByteRun, @unchecked Sendable {
  private let storage: UnsafeMutableRawBufferPointer
  private let pool: PiecePool?

  var count: Int { storage.count }

  /// - Parameter fill: writes all of the piece.
  init(count: Int, pool: PiecePool, fill: (UnsafeMutableRawBufferPointer) throws -> Void) throws {
    let isFull = count == ZipFormat.chunkSize
    storage = isFull ? pool.take() : .allocate(byteCount: count, alignment: 16)
    self.pool = isFull ? pool : nil
    try fill(storage)
  }

  deinit {
    if let pool { pool.give(storage) } else { storage.deallocate() }
  }

  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try body(UnsafeRawBufferPointer(storage))
  }
}

/// Memory for full pieces.
final class PiecePool: Sendable {
  /// `@unchecked Sendable`: memory that nobody uses.
  private struct Block: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer
  }

  private let free = Mutex<[Block]>([])

  func take() -> UnsafeMutableRawBufferPointer {
    free.withLock { $0.popLast() }?.bytes ?? .allocate(byteCount: ZipFormat.chunkSize, alignment: 64)
  }

  func give(_ bytes: UnsafeMutableRawBufferPointer) {
    let block = Block(bytes: bytes)
    free.withLock { $0.append(block) }
  }

  deinit { free.withLock { for block in $0 { block.bytes.deallocate() } } }
}
