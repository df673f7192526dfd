/// Bytes that come in pieces of any size, as a source that fills buffers.
struct PieceReader {
  private var next: () -> [UInt8]?
  private var rest: ArraySlice<UInt8> = []

  init(_ next: @escaping () -> [UInt8]?) { self.next = next }

  /// Fills a part of the buffer; returns how much, 0 at the end.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    while rest.isEmpty {
      guard let piece = next() else { return 0 }
      rest = piece[...]
    }
    let part = rest.prefix(buffer.count)
    buffer.copyBytes(from: part)
    rest = rest.dropFirst(part.count)
    return part.count
  }
}
