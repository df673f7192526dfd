/// Which bytes of a download are here, when several parts of it arrive at once. A value without any I/O.
///
/// Its text form stands beside the bytes (`NAME.DIGEST.part.map`), so that a client that was killed goes on.
struct PartMap: Hashable, Sendable {
  struct Part: Hashable, Sendable {
    let range: Range<Int64>
    /// Bytes that are here, from the part's start.
    var done: Int64

    /// The next byte wanted; nil when all are here.
    var next: Int64? { done < Int64(range.count) ? range.lowerBound + done : nil }
  }

  private(set) var parts: [Part]
  let total: Int64

  /// The most parts there may be.
  static let maximumParts = 64

  /// - Parameters:
  ///   - have: bytes that are here from the start.
  ///   - count: how many parts the rest is cut into.
  init(total: Int64, have: Int64, count: Int) {
    self.total = total
    parts = have > 0 ? [Part(range: 0..<have, done: have)] : []
    let count = Int64(max(1, min(count, Self.maximumParts)))
    let size = (total - have + count - 1) / count
    var start = have
    while start < total {
      let end = min(total, start + size)
      parts.append(Part(range: start..<end, done: 0))
      start = end
    }
  }

  /// Nothing is here. The whole is one part with the given index; those before it are empty.
  init(total: Int64, whole index: Int) {
    self.total = total
    parts = Array(repeating: Part(range: 0..<0, done: 0), count: index) + [Part(range: 0..<total, done: 0)]
  }

  /// Whether only the last part lacks bytes: then the length of the bytes that are here says all.
  var isPrefix: Bool { parts.dropLast().allSatisfy { $0.next == nil } }

  var have: Int64 { parts.reduce(0) { $0 + $1.done } }

  mutating func advance(_ index: Int, by count: Int64) { parts[index].done += count }

  // MARK: Text

  var text: String {
    "aitbc-parts-v1 \(total)\n" + parts.map { "\($0.range.lowerBound) \($0.range.upperBound) \($0.done)\n" }.joined()
  }

  /// Nil unless the text says, of a whole of this size, which bytes are here, each byte in one part.
  init?(text: String, total: Int64) {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.popLast() == "", !lines.isEmpty, lines.removeFirst() == "aitbc-parts-v1 \(total)",
      (1...Self.maximumParts + 1).contains(lines.count)
    else { return nil }
    var parts: [Part] = []
    for line in lines {
      let numbers = line.split(separator: " ").compactMap { Int64($0) }
      guard numbers.count == 3, numbers[0] == parts.last?.range.upperBound ?? 0, numbers[0] < numbers[1],
        (0...numbers[1] - numbers[0]).contains(numbers[2])
      else { return nil }
      parts.append(Part(range: numbers[0]..<numbers[1], done: numbers[2]))
    }
    guard parts.last?.range.upperBound == total else { return nil }
    self.parts = parts
    self.total = total
  }
}
