/// What an identifier names; gives the prefix it is written with.
public protocol IdentifierKind: Sendable {
  /// The letters before the underscore, `job` for jobs.
  static var prefix: String { get }
}

public enum JobKind: IdentifierKind { public static let prefix = "job" }
public enum MinerKind: IdentifierKind { public static let prefix = "miner" }
public enum AccountKind: IdentifierKind { public static let prefix = "acct" }
public enum ShareKind: IdentifierKind { public static let prefix = "share" }

public typealias JobID = Identifier<JobKind>
public typealias MinerID = Identifier<MinerKind>
public typealias AccountID = Identifier<AccountKind>
public typealias ShareID = Identifier<ShareKind>

/// A public name: prefix, underscore, 26 lower-case base32 characters (48 bits of milliseconds, then 80 random bits;
/// the ULID layout), so that sorting by text is sorting by time of creation.
///
/// It is no secret and proves nothing: access is decided by keys.
public struct Identifier<Kind: IdentifierKind>: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The whole text, prefix included.
  public let rawValue: String

  /// Takes exactly what ``init(at:using:)`` makes; anything else (other prefix, length, alphabet, a path) is nil.
  public init?(_ text: some StringProtocol) {
    var text = String(text)
    let isWellFormed = text.withUTF8 { bytes in
      let digits = bytes.count - Base32.length
      guard digits > 0, bytes[digits - 1] == UInt8(ascii: "_"), bytes[digits] <= UInt8(ascii: "7") else { return false }
      return bytes[digits...].allSatisfy(Base32.isDigit) && bytes[..<(digits - 1)].elementsEqual(Kind.prefix.utf8)
    }
    guard isWellFormed else { return nil }
    rawValue = text
  }

  /// A new identifier. `time` gives the sort order, `generator` the uniqueness.
  public init(at time: Timestamp, using generator: inout some RandomNumberGenerator) {
    let milliseconds = UInt64(clamping: max(0, time.milliseconds)) & 0xFFFF_FFFF_FFFF
    let high = generator.next() as UInt64
    let low = generator.next() as UInt64
    // 128 bits: 48 of time, 80 of chance.
    let value = UInt128(milliseconds) << 80 | UInt128(high & 0xFFFF) << 64 | UInt128(low)
    rawValue = Kind.prefix + "_" + Base32.encode(value)
  }

  public var description: String { rawValue }
  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// Crockford's alphabet in lower case: no `i`, `l`, `o`, `u`; text order is value order.
enum Base32 {
  private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

  static let length = 26

  static func isDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): true
    case UInt8(ascii: "i"), UInt8(ascii: "l"), UInt8(ascii: "o"), UInt8(ascii: "u"): false
    case UInt8(ascii: "a")...UInt8(ascii: "z"): true
    default: false
    }
  }

  /// 26 digits; the first holds only three bits.
  static func encode(_ value: UInt128) -> String {
    String(unsafeUninitializedCapacity: 26) { buffer in
      var rest = value
      for index in stride(from: 25, through: 0, by: -1) {
        buffer[index] = alphabet[Int(rest & 31)]
        rest >>= 5
      }
      return 26
    }
  }
}
