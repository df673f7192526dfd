import Marketplace
import Wire

/// Puts the pieces of a job's two log streams together: each byte of a try once and in order. A value without any I/O.
struct LogAssembler: Hashable, Sendable {
  enum Verdict: Hashable, Sendable {
    /// New bytes, or the end of the stream.
    case emit(LogPiece)
    case drop
    /// These bytes are missing before the piece: fetch them, ``take(_:)`` them, then take the piece again.
    case missing(Range<Int64>)
  }

  private struct Position: Hashable {
    var tryNumber: Int
    var offset: Int64 = 0
    var isEnded = false
  }

  private var positions: [LogStream: Position] = [:]

  init() {}

  /// Begins later than at byte 0: what lies before was shown already.
  init(tryNumber: Int, offsets: [LogStream: Int64]) {
    positions = offsets.mapValues { Position(tryNumber: tryNumber, offset: $0) }
  }

  /// How far each stream of the present try is known: what `subscribe` asks to go on from.
  var offsets: [LogStream: Int64] { positions.mapValues(\.offset) }

  func offset(of stream: LogStream, in tryNumber: Int) -> Int64 {
    positions[stream].flatMap { $0.tryNumber == tryNumber ? $0.offset : nil } ?? 0
  }

  func isEnded(_ stream: LogStream, in tryNumber: Int) -> Bool {
    positions[stream].map { $0.tryNumber > tryNumber || ($0.tryNumber == tryNumber && $0.isEnded) } ?? false
  }

  mutating func take(_ piece: LogPiece) -> Verdict {
    var position = positions[piece.stream] ?? Position(tryNumber: piece.tryNumber)
    guard piece.offset >= 0, piece.tryNumber >= position.tryNumber else { return .drop }
    if piece.tryNumber > position.tryNumber { position = Position(tryNumber: piece.tryNumber) }
    defer { positions[piece.stream] = position }
    guard !position.isEnded else { return .drop }
    guard piece.offset <= position.offset else { return .missing(position.offset..<piece.offset) }
    let known = Int(min(position.offset - piece.offset, Int64(piece.data.count)))
    var rest = piece
    rest.data = Array(piece.data.dropFirst(known))
    rest.offset = position.offset
    position.offset += Int64(rest.data.count)
    if let end = piece.end {
      guard end.length <= position.offset else {
        // The end lies further on than this piece: what is between must come first.
        if rest.data.isEmpty { return .missing(position.offset..<end.length) }
        rest.end = nil
        return .emit(rest)
      }
      position.isEnded = true
      return .emit(rest)
    }
    return rest.data.isEmpty ? .drop : .emit(rest)
  }

  /// Gives up on missing bytes that can't be had.
  mutating func skip(_ stream: LogStream, in tryNumber: Int, to offset: Int64) {
    guard var position = positions[stream], position.tryNumber == tryNumber else { return }
    position.offset = max(offset, position.offset)
    positions[stream] = position
  }
}
