import Cryptography
import Marketplace

/// Where a page ended: the sort it belongs to, the part of the list, and the last job's place in it.
struct JobListCursor: Hashable {
  var sort: JobQuery.Sort
  /// 0, or 1 for the jobs without an end that follow those with one.
  var part: Int
  /// What is sorted by, in milliseconds; 0 in part 1.
  var value: Int64
  var key: Int64

  private static let version: UInt8 = 1
  private static let byteCount = 19

  init(sort: JobQuery.Sort, part: Int, value: Int64, key: Int64) {
    self.sort = sort
    self.part = part
    self.value = value
    self.key = key
  }

  /// Base64URL of version, sort, part and the two numbers, big-endian.
  var text: String {
    var bytes: [UInt8] = [Self.version, Self.number(of: sort), UInt8(part)]
    for number in [value, key] {
      withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }
    return Base64URL.encode(bytes)
  }

  /// Takes only a cursor that was made for the same sort.
  init(_ text: String, sort: JobQuery.Sort) throws(InvalidCursor) {
    guard text.utf8.count <= 64, let bytes = Base64URL.decode(text), bytes.count == Self.byteCount,
      bytes[0] == Self.version, bytes[1] == Self.number(of: sort), bytes[2] == 0 || (bytes[2] == 1 && sort.isByEnd)
    else { throw InvalidCursor() }
    func number(_ start: Int) -> Int64 {
      Int64(bitPattern: bytes[start..<(start + 8)].reduce(0) { $0 << 8 | UInt64($1) })
    }
    self.init(sort: sort, part: Int(bytes[2]), value: number(3), key: number(11))
  }

  private static func number(of sort: JobQuery.Sort) -> UInt8 {
    switch sort {
    case .newest: 0
    case .oldest: 1
    case .latestEnd: 2
    case .earliestEnd: 3
    }
  }
}

extension JobQuery.Sort {
  var isByEnd: Bool { self == .latestEnd || self == .earliestEnd }
  var isDescending: Bool { self == .newest || self == .latestEnd }
}
