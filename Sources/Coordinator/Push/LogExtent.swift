import Marketplace
import Marketplace
import Wire

/// How much of one stream of one try there is.
struct StreamExtent: Hashable, Sendable {
  var length: Int64 = 0
  /// Set when it is final.
  var fact: LogFact?

  /// Only ever grows; what is final stays.
  mutating func merge(length: Int64, fact: LogFact?) {
    self.fact = self.fact ?? fact
    self.length = self.fact?.length ?? max(self.length, length)
  }
}

/// How much log one try has.
struct LogExtent: Hashable, Sendable {
  let tryNumber: Int
  var stdout = StreamExtent()
  var stderr = StreamExtent()

  subscript(stream: LogStream) -> StreamExtent {
    get { stream == .stdout ? stdout : stderr }
    set { if stream == .stdout { stdout = newValue } else { stderr = newValue } }
  }
}

extension [LogExtent] {
  /// Tries kept for a job; a job has far fewer. Past it, all but the first and the latest may be forgotten.
  static let maximumTries = 32

  /// Takes what is known of one stream. The array is sorted by try.
  mutating func merge(tryNumber: Int, stream: LogStream, length: Int64, fact: LogFact?) {
    let index = firstIndex { $0.tryNumber >= tryNumber } ?? count
    if index == count || self[index].tryNumber != tryNumber {
      insert(LogExtent(tryNumber: tryNumber), at: index)
    }
    self[index][stream].merge(length: length, fact: fact)
    if count > Self.maximumTries { remove(at: 1) }
  }
}
