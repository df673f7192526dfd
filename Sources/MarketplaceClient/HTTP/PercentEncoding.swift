/// URL parts as RFC 3986 §2 writes them: every byte that is not unreserved becomes `%XX`.
enum PercentEncoding {
  static func encode(_ text: String) -> String {
    var result: [UInt8] = []
    let digits = Array("0123456789ABCDEF".utf8)
    for byte in text.utf8 {
      if isUnreserved(byte) {
        result.append(byte)
      } else {
        result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
      UInt8(ascii: "~"):
      true
    default: false
    }
  }
}

/// A resource under the coordinator's address: path segments (each escaped whole, so that no name can leave its place)
/// and a query.
public struct APIPath: Hashable, Sendable, CustomStringConvertible {
  public var segments: [String]
  /// Members in their order; nil values are left out.
  public var query: [(name: String, value: String)]

  /// `/v1/` and the segments.
  public init(_ segments: String..., query: [(String, String?)] = []) { self.init(v1: segments, query: query) }

  /// `/v1/` and the segments.
  public init(v1 segments: [String], query: [(String, String?)] = []) {
    self.segments = ["v1"] + segments
    self.query = query.compactMap { name, value in value.map { (name, $0) } }
  }

  /// From the root, for `/healthz` and `/readyz`.
  public static func root(_ segments: String...) -> APIPath {
    var path = APIPath()
    path.segments = segments
    return path
  }

  /// A path of files below: `a/b` becomes two segments.
  public func appending(file path: String) -> APIPath {
    var copy = self
    copy.segments += path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    return copy
  }

  /// `/v1/jobs/x?limit=5`. A segment `jobs:batch` keeps its colon, which RFC 3986 §3.3 allows.
  public var description: String {
    let path = segments.map { "/" + Self.keepingColon($0) }.joined()
    guard !query.isEmpty else { return path }
    return path + "?"
      + query.map { PercentEncoding.encode($0.name) + "=" + PercentEncoding.encode($0.value) }.joined(separator: "&")
  }

  private static func keepingColon(_ segment: String) -> String {
    segment.split(separator: ":", omittingEmptySubsequences: false).map { part in
      // A dot segment would be removed on the way (RFC 3986 §5.2.4).
      part == "." ? "%2E" : part == ".." ? "%2E%2E" : PercentEncoding.encode(String(part))
    }.joined(separator: ":")
  }

  public static func == (left: APIPath, right: APIPath) -> Bool { left.description == right.description }
  public func hash(into hasher: inout Hasher) { hasher.combine(description) }
}
