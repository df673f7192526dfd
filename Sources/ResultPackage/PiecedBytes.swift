/// Bytes that grow without being copied: a long array would need twice its memory each time it grows.
struct PiecedBytes {
  private static let pieceSize = 256 * 1024

  private(set) var pieces: [[UInt8]] = []
  private(set) var count = 0

  mutating func append(_ bytes: [UInt8]) {
    if pieces.last.map({ $0.count + bytes.count <= Self.pieceSize }) != true {
      var piece: [UInt8] = []
      piece.reserveCapacity(max(Self.pieceSize, bytes.count))
      pieces.append(piece)
    }
    pieces[pieces.count - 1].append(contentsOf: bytes)
    count += bytes.count
  }
}
