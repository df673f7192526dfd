import Cryptography

/// What an answer to a download request means for the bytes that are already here. A value without any I/O.
struct DownloadPlan: Hashable, Sendable {
  enum Step: Hashable, Sendable {
    /// The body continues the part at this offset (0: it replaces it).
    case write(at: Int64)
    /// The part can't be continued: drop it and ask for the whole.
    case restart
    /// The coordinator does not serve parts: all of it must be fetched at once, from the start.
    case whole
    case fail(ClientError)
  }

  /// So many failures in a row without a single new byte end the download.
  static let maximumStalls = 8

  /// Size of the whole, as the coordinator tells.
  let total: Int64

  /// - Parameters:
  ///   - have: how many bytes were asked to be left out.
  ///   - end: where the bytes asked for end; nil: with the whole.
  func answered(_ answer: APIAnswer, have: Int64, end: Int64? = nil) -> Step {
    switch answer.status {
    case 200:
      guard end == nil else { return .whole }
      guard answer.headers.integer("Content-Length").map({ $0 == total }) ?? true else {
        return .fail(.unexpected("the download's size changed while it ran"))
      }
      return .write(at: 0)
    case 206:
      guard let range = answer.headers["Content-Range"].flatMap(ContentRange.init) else {
        return .fail(.unexpected("a partial answer without a Content-Range"))
      }
      guard range.total == total, range.first == have, range.last == (end ?? total) - 1 else {
        if end != nil { return .whole }
        return have == 0 ? .fail(.unexpected("a partial answer with another range than asked for")) : .restart
      }
      return .write(at: have)
    case 412 where end != nil, 416 where end != nil: return .whole
    case 412, 416: return have == 0 ? .fail(HTTPTransport.error(of: answer)) : .restart
    default: return .fail(HTTPTransport.error(of: answer))
    }
  }
}

/// `bytes 5-9/20` (RFC 9110 §14.4).
struct ContentRange: Hashable, Sendable {
  let first: Int64
  let last: Int64
  let total: Int64

  init?(_ text: String) {
    guard text.lowercased().hasPrefix("bytes ") else { return nil }
    let parts = text.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let total = Self.number(parts[1]) else { return nil }
    let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, let first = Self.number(ends[0]), let last = Self.number(ends[1]), first <= last,
      last < total
    else { return nil }
    self.first = first
    self.last = last
    self.total = total
  }

  private static func number(_ text: Substring) -> Int64? {
    text.utf8.allSatisfy { (48...57).contains($0) } ? Int64(text) : nil
  }
}

/// Reads a SHA-256 from the headers of a representation.
enum DigestHeaders {
  /// `Repr-Digest: sha-256=:…:` (RFC 9530), else an `ETag` that is 64 hex digits.
  static func sha256(_ headers: AnswerHeaders) -> SHA256Digest? {
    if let field = headers["Repr-Digest"] {
      for member in field.split(separator: ",") {
        let text = member.drop { $0 == " " }
        guard text.lowercased().hasPrefix("sha-256=:"), let end = text.lastIndex(of: ":") else { continue }
        let start = text.index(text.startIndex, offsetBy: 9)
        guard start <= end, let bytes = Base64.decode(text[start..<end]) else { continue }
        if let digest = SHA256Digest(bytes: bytes) { return digest }
      }
    }
    guard let tag = headers["ETag"], !tag.hasPrefix("W/") else { return nil }
    return SHA256Digest(hex: tag.filter { $0 != "\"" })
  }
}
