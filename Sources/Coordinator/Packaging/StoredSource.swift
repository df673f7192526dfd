import ResultPackage
import Store

/// A stored file as an archive's bytes.
final class StoredSource: RandomAccessSource {
  let size: UInt64
  private let file: StoredFile

  init(_ file: StoredFile) throws {
    self.file = file
    size = UInt64(try file.size())
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard try file.read(into: buffer, offset: Int64(offset)) == buffer.count else {
      throw UnexpectedEndOfFile(path: file.path)
    }
  }
}
