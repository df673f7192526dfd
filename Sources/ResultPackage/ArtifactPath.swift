import Glibc

/// A relative path of a file in a result, in the one form that is safe everywhere: segments joined by `/`.
///
/// Uploads, the archive's writer and its reader all use this check, so what was accepted once can always be packed
/// and unpacked. Names are bytes of valid UTF-8; Unicode normalization is not required and not changed.
public struct ArtifactPath: Hashable, Sendable, CustomStringConvertible {
  /// The longest path in bytes of UTF-8.
  public static let maximumBytes = 1024
  /// The largest number of segments.
  public static let maximumSegments = 32
  /// The longest segment in bytes, as on Linux file systems (`NAME_MAX`).
  public static let maximumSegmentBytes = 255

  /// The path as it was given.
  public let string: String

  /// Checks a path as a client or a job gave it.
  public init(validating path: String) throws(ArtifactPathError) {
    try Self.check(path.utf8, bytes: Self.maximumBytes, segments: Self.maximumSegments)
    string = path
  }

  /// Checks the bytes of a path; they must be UTF-8.
  public init(validating bytes: some Collection<UInt8>) throws(ArtifactPathError) {
    guard let path = String(validating: bytes, as: UTF8.self) else { throw .notUTF8 }
    try self.init(validating: path)
  }

  public var description: String { string }

  /// Two paths with equal keys cannot both be unpacked on a file system that ignores case or Unicode normalization.
  /// Strings compare by canonical equivalence, so the normalization is part of `==` on this key.
  public var caseFolded: String { Self.folded(string) }

  static func folded(_ path: String) -> String { path.lowercased() }

  static func check(
    _ path: String.UTF8View, bytes: Int, segments: Int
  ) throws(ArtifactPathError) {
    guard path.count <= bytes else { throw .tooLong(bytes: path.count, limit: bytes) }
    let found: ArtifactPathError? =
      path.withContiguousStorageIfAvailable { fault(in: $0, segments: segments) }
      ?? Array(path).withUnsafeBufferPointer { fault(in: $0, segments: segments) }
    if let found { throw found }
  }

  /// In one pass, for there may be a hundred thousand names. Of several faults those of characters come first.
  private static func fault(in path: UnsafeBufferPointer<UInt8>, segments: Int) -> ArtifactPathError? {
    guard let first = path.first else { return .empty }
    guard first != UInt8(ascii: "/") else { return .absolute }
    var latinControl: ArtifactPathError?
    var inSegment: ArtifactPathError?
    var count = 1
    var start = 0
    for index in 0..<path.count {
      let byte = path[index]
      switch byte {
      case UInt8(ascii: "/"):
        inSegment = inSegment ?? fault(of: path, start, index)
        count += 1
        start = index + 1
      case UInt8(ascii: "\\"): return .backslash
      case ..<0x20, 0x7F: return .controlCharacter(byte: byte, offset: index)
      // The control characters of Latin 1, U+0080…U+009F, are C2 80 … C2 9F.
      case 0x80..<0xA0 where latinControl == nil && index > 0 && path[index - 1] == 0xC2:
        latinControl = .controlCharacter(byte: byte, offset: index - 1)
      default: break
      }
    }
    if let latinControl { return latinControl }
    guard count <= segments else { return .tooDeep(segments: count, limit: segments) }
    return inSegment ?? fault(of: path, start, path.count) ?? (isDrive(path) ? .drive : nil)
  }

  /// Of the segment from `start` to `end`.
  private static func fault(of path: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> ArtifactPathError? {
    let length = end - start
    guard length > 0 else { return .emptySegment }
    guard length <= maximumSegmentBytes else {
      return .segmentTooLong(bytes: length, limit: maximumSegmentBytes)
    }
    let isDots = length <= 2 && path[start] == UInt8(ascii: ".") && path[end - 1] == UInt8(ascii: ".")
    return isDots ? .dotSegment : nil
  }

  /// `C:` and `C:name`, which Windows takes for a place on drive C.
  private static func isDrive(_ path: UnsafeBufferPointer<UInt8>) -> Bool {
    guard path.count >= 2, path[1] == UInt8(ascii: ":") else { return false }
    return (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(path[0] & 0xDF)
  }
}

extension ArtifactPath: Comparable {
  /// Bytewise, as `LC_ALL=C sort` does it: the order of entries in an archive and in a manifest.
  public static func < (left: ArtifactPath, right: ArtifactPath) -> Bool {
    bytewiseLess(left.string, right.string)
  }

  /// Bytewise too: two spellings of one letter are two names.
  public static func == (left: ArtifactPath, right: ArtifactPath) -> Bool {
    left.string.utf8.elementsEqual(right.string.utf8)
  }

  public func hash(into hasher: inout Hasher) {
    for byte in string.utf8 { hasher.combine(byte) }
    hasher.combine(0xFF as UInt8)
  }
}

/// The order of names: by bytes of UTF-8, not by Swift's own order of canonically equivalent texts.
func bytewiseLess(_ left: String, _ right: String) -> Bool {
  let isLess = left.utf8.withContiguousStorageIfAvailable { left in
    right.utf8.withContiguousStorageIfAvailable { right in
      guard let first = left.baseAddress, let second = right.baseAddress else { return left.count < right.count }
      let order = memcmp(first, second, min(left.count, right.count))
      return order == 0 ? left.count < right.count : order < 0
    }
  }
  return (isLess ?? nil) ?? left.utf8.lexicographicallyPrecedes(right.utf8)
}

/// Why a path is refused.
public enum ArtifactPathError: Error, Equatable, Sendable, CustomStringConvertible {
  case empty
  case tooLong(bytes: Int, limit: Int)
  case tooDeep(segments: Int, limit: Int)
  case segmentTooLong(bytes: Int, limit: Int)
  case absolute
  case drive
  case backslash
  case controlCharacter(byte: UInt8, offset: Int)
  case emptySegment
  case dotSegment
  case notUTF8

  public var description: String {
    switch self {
    case .empty: "the path is empty"
    case .tooLong(let bytes, let limit): "the path has \(bytes) bytes, the limit is \(limit)"
    case .tooDeep(let segments, let limit): "the path has \(segments) segments, the limit is \(limit)"
    case .segmentTooLong(let bytes, let limit): "a segment has \(bytes) bytes, the limit is \(limit)"
    case .absolute: "the path is absolute"
    case .drive: "the path begins with a drive letter"
    case .backslash: "the path contains a backslash"
    case .controlCharacter(let byte, let offset): "control character \(byte) at byte \(offset)"
    case .emptySegment: "the path has an empty segment (\"//\" or \"/\" at its end)"
    case .dotSegment: "the path has a segment \".\" or \"..\""
    case .notUTF8: "the path is not UTF-8"
    }
  }
}
