import Cryptography

/// Counts, hashes and gathers what goes to a sink, so that short headers cost no call each.
final class HashingOutput {
  private static let flushSize = 128 * 1024

  private let sink: any ByteSink
  private let hasher: OffThread<SHA256>
  private var gathered: [UInt8] = []
  /// The bytes written so far: the offset of the next one.
  private(set) var count: UInt64 = 0

  /// - Parameter threaded: whether hashing has a thread of its own.
  init(sink: any ByteSink, threaded: Bool) {
    self.sink = sink
    hasher = OffThread(SHA256(), threaded: threaded)
  }

  func write(_ bytes: some ByteRun) throws {
    let length = bytes.withBytes(\.count)
    count += UInt64(length)
    if length >= Self.flushSize {
      try flush()
      return try emit(bytes)
    }
    bytes.withBytes { gathered.append(contentsOf: $0) }
    if gathered.count >= Self.flushSize { try flush() }
  }

  func digestSoFar() throws -> SHA256Digest {
    try flush()
    return hasher.result { $0.digestSoFar() }
  }

  func finish() throws -> SHA256Digest {
    try flush()
    return hasher.result { $0.finalize() }
  }

  private func flush() throws {
    guard !gathered.isEmpty else { return }
    try emit(gathered)
    gathered.removeAll(keepingCapacity: true)
  }

  private func emit(_ bytes: some ByteRun) throws {
    hasher.perform(bytes) { hasher, bytes in hasher.update(bytes) }
    try bytes.withBytes { try sink.write($0) }
  }
}
