/// Checks UTF-8 (RFC 3629) as it arrives, in any pieces; refuses at the first octet after which no continuation could
/// make the text valid (so overlong forms, surrogates and values above U+10FFFF fail at their second octet at latest).
public struct UTF8Validator: Sendable {
  /// Continuation octets still to come.
  private var pending: UInt8 = 0
  /// The range of the next continuation octet; narrower than 80…BF only after E0, ED, F0 and F4.
  private var low: UInt8 = 0x80
  private var high: UInt8 = 0xBF

  public init() {}

  /// False in the middle of a character: a text that ends here is invalid.
  public var isComplete: Bool { pending == 0 }

  /// Takes the next octets. False: invalid; the validator must not be used further.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let base = bytes.baseAddress else { return true }
    let count = bytes.count
    var index = 0
    while index < count {
      if pending == 0 {
        index = Self.skipASCII(base, from: index, to: count)
        guard index < count else { break }
        guard begin(base.load(fromByteOffset: index, as: UInt8.self)) else { return false }
      } else {
        let octet = base.load(fromByteOffset: index, as: UInt8.self)
        guard octet >= low, octet <= high else { return false }
        (low, high) = (0x80, 0xBF)
        pending &-= 1
      }
      index &+= 1
    }
    return true
  }

  /// The first index at or after `start` whose octet is not ASCII; eight octets at a time.
  private static func skipASCII(_ base: UnsafeRawPointer, from start: Int, to end: Int) -> Int {
    var index = start
    while index &+ 8 <= end {
      let word =
        UInt64(littleEndian: base.loadUnaligned(fromByteOffset: index, as: UInt64.self)) & 0x8080_8080_8080_8080
      if word != 0 { return index &+ word.trailingZeroBitCount / 8 }
      index &+= 8
    }
    while index < end, base.load(fromByteOffset: index, as: UInt8.self) < 0x80 { index &+= 1 }
    return index
  }

  /// Takes the lead octet of a character beyond ASCII.
  private mutating func begin(_ octet: UInt8) -> Bool {
    switch octet {
    case 0xC2...0xDF: pending = 1
    case 0xE0: (pending, low) = (2, 0xA0)
    case 0xED: (pending, high) = (2, 0x9F)
    case 0xE1...0xEF: pending = 2
    case 0xF0: (pending, low) = (3, 0x90)
    case 0xF1...0xF3: pending = 3
    case 0xF4: (pending, high) = (3, 0x8F)
    default: return false
    }
    return true
  }
}
