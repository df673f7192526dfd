import Cryptography

/// Writes what a `ZipWriter` has ready, in order, and keeps the central directory.
final class ZipOutput {
  /// What is written next; some of it may still be in the making.
  enum Step {
    /// A whole file of one piece; `job` when it may be smaller deflated.
    case short(name: String, bytes: Piece, crc32: UInt32, job: DeflateJob?)
    /// A file of several pieces begins: its header.
    case begin(name: String, size: UInt64, method: ZipMethod)
    case stored(Piece)
    case deflated(DeflateJob)
    /// It ends: its descriptor.
    case end(crc32: UInt32)
  }

  private struct Open {
    let name: String
    let size: UInt64
    let method: ZipMethod
    let offset: UInt64
    var dataOffset: UInt64 = 0

    func entry(compressedSize: UInt64, crc32: UInt32) -> ZipEntry {
      ZipEntry(
        name: name, method: method, size: size, compressedSize: compressedSize, crc32: crc32, offset: offset)
    }
  }

  private let output: HashingOutput
  private var open: Open?
  private var directory = DirectoryLog()

  init(sink: any ByteSink, threaded: Bool) { output = HashingOutput(sink: sink, threaded: threaded) }

  /// Writes it, waiting until it is made. Returns how many bytes of files are done with.
  @discardableResult
  func perform(_ step: Step) throws -> Int {
    switch step {
    case .short(let name, let bytes, let crc32, let job):
      try writeShort(name, bytes, crc32, job)
      return bytes.count
    case .begin(let name, let size, let method):
      var file = Open(name: name, size: size, method: method, offset: output.count)
      let entry = file.entry(compressedSize: 0, crc32: 0)
      file.dataOffset = entry.dataOffset
      try output.write(entry.localHeader)
      open = file
      return 0
    case .stored(let bytes):
      try output.write(bytes)
      return bytes.count
    case .deflated(let job):
      try output.write(try job.wait())
      return job.byteCount
    case .end(let crc32):
      guard let file = open else { throw ZipWriteError.closed }
      let entry = file.entry(compressedSize: output.count - file.dataOffset, crc32: crc32)
      try output.write(entry.descriptor)
      directory.append(entry)
      open = nil
      return 0
    }
  }

  private func writeShort(_ name: String, _ bytes: Piece, _ crc32: UInt32, _ job: DeflateJob?) throws {
    let compressed = try job.map { try $0.wait() }.flatMap { $0.count < bytes.count ? $0 : nil }
    let entry = ZipEntry(
      name: name, method: compressed == nil ? .stored : .deflated, size: UInt64(bytes.count),
      compressedSize: UInt64(compressed?.count ?? bytes.count), crc32: crc32, offset: output.count)
    try output.write(entry.localHeader)
    if let compressed { try output.write(compressed) } else { try output.write(bytes) }
    directory.append(entry)
  }

  /// Directory, end records and comment.
  func finish(commentLength: Int, comment: (SHA256Digest) throws -> [UInt8]) throws -> ZipSummary {
    let end = ZipEnd(
      entryCount: UInt64(directory.count), directorySize: directory.size, directoryOffset: output.count,
      commentLength: commentLength)
    try directory.forEach { try output.write($0.centralHeader) }
    try output.write(end.bytes)
    if commentLength > 0 {
      let text = try comment(output.digestSoFar())
      guard text.count == commentLength, text.allSatisfy({ (0x20...0x7E).contains($0) }) else {
        throw ZipWriteError.badComment
      }
      try output.write(text)
    }
    return ZipSummary(size: output.count, sha256: try output.finish(), entryCount: directory.count)
  }
}
