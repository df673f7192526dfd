import HTTPTypes
import Hummingbird
import NIOCore
import NIOPosix
import Wire

/// Serves a part of a file: ranges, conditions, digests (RFC 9110 §13, §14; RFC 9530).
struct FileResponse {
  let size: Int64
  /// Lower-case hex SHA-256 of the whole file: its strong entity tag.
  let sha256: String
  /// Base64 of the same digest, for `Repr-Digest`.
  let digest: String
  let type: String
  /// The name a browser saves it under.
  let name: String
  let content: FileContent

  /// Read at once, and answered from memory where there is no more. While one piece goes out, the next is read.
  private static let chunk = 512 * 1024

  func respond(to request: Request, over channel: any Channel, blocking: NIOThreadPool) throws -> Response {
    let tag = "\"\(sha256)\""
    var headers: HTTPFields = [
      .contentType: type, .eTag: tag, .acceptRanges: "bytes", .cacheControl: "private, no-cache",
      .reprDigest: "sha-256=:\(digest):", .checksum: sha256,
      .contentDisposition: "attachment; filename=\"\(name)\"",
    ]
    if let wanted = request.headers[.ifNoneMatch], Self.matches(tag, list: wanted, weakly: true) {
      return Response(status: .notModified, headers: headers)
    }
    if let wanted = request.headers[.ifMatch], !Self.matches(tag, list: wanted, weakly: false) {
      throw Problem(412, "precondition_failed", "the content is another than If-Match names")
    }
    // A range of another version must not be mixed with this one: then the whole is sent.
    let isSameVersion = request.headers[.ifRange].map { $0 == tag } ?? true
    // Ranges are for GET alone. Several at once are answered with the whole, as RFC 9110 §14.2 allows.
    guard request.method == .get, isSameVersion, let text = request.headers[.range],
      let ranges = ByteRange.parse(text), ranges.count == 1
    else {
      return answer(request, .ok, headers, body: body(from: 0, count: size, over: channel, blocking: blocking))
    }
    guard let range = ranges[0].resolve(size: size) else {
      return Response(
        status: .rangeNotSatisfiable,
        headers: [.contentRange: "bytes */\(size)", .acceptRanges: "bytes", .eTag: tag])
    }
    headers[.contentRange] = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
    let part = body(from: range.lowerBound, count: Int64(range.count), over: channel, blocking: blocking)
    return answer(request, .partialContent, headers, body: part)
  }

  private func answer(
    _ request: Request, _ status: HTTPResponse.Status, _ headers: HTTPFields, body: ResponseBody
  ) -> Response {
    guard request.method == .head else { return Response(status: status, headers: headers, body: body) }
    var headers = headers
    headers[.contentLength] = body.contentLength.map(String.init)
    return Response(status: status, headers: headers)
  }

  private func body(
    from start: Int64, count: Int64, over channel: any Channel, blocking: NIOThreadPool
  ) -> ResponseBody {
    if case .file(let file, let base) = content, count > Self.chunk {
      let sender = FileSender(channel: channel, blocking: blocking)
      return ResponseBody(contentLength: Int(count)) { writer in
        try await sender.send(file, from: base + start, count: count)
        try await writer.finish(nil)
      }
    }
    let content = content
    return ResponseBody(contentLength: Int(count)) { writer in
      let end = start + count
      @Sendable func readPiece(at offset: Int64) async throws -> ByteBuffer {
        let wanted = Int(min(Int64(Self.chunk), end - offset))
        let piece = try await blocking.runIfActive { try content.read(offset: offset, count: wanted) }
        guard piece.readableBytes > 0 else { throw ShortFile() }
        return piece
      }
      var position = start
      var piece = count > 0 ? try await readPiece(at: start) : ByteBuffer()
      while piece.readableBytes > 0 {
        position += Int64(piece.readableBytes)
        let next = position
        async let following = next < end ? readPiece(at: next) : ByteBuffer()
        try await writer.write(piece)
        piece = try await following
      }
      try await writer.finish(nil)
    }
  }

  /// - Parameter weakly: whether a weak tag may match too (RFC 9110 §8.8.3.2).
  private static func matches(_ tag: String, list: String, weakly: Bool) -> Bool {
    for part in list.split(separator: ",") {
      let candidate = String(part.filter { $0 != " " && $0 != "\t" })
      if candidate == "*" || candidate == tag || (weakly && candidate == "W/" + tag) { return true }
    }
    return false
  }
}

/// The file ended before its recorded length: the connection is cut so that the client notices.
struct ShortFile: Error {}

/// One byte range of a `Range` header.
enum ByteRange: Hashable, Sendable {
  case from(Int64, through: Int64?)
  case last(Int64)

  /// Nil when the header is not a list of byte ranges: it is then ignored (RFC 9110 §14.2).
  static func parse(_ header: String) -> [ByteRange]? {
    guard header.lowercased().hasPrefix("bytes=") else { return nil }
    var ranges: [ByteRange] = []
    for part in header.dropFirst(6).split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.filter { $0 != " " && $0 != "\t" }.split(
        separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
      guard ends.count == 2, ends.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }) else { return nil }
      switch (number(ends[0]), number(ends[1])) {
      case (let first?, let last?) where first <= last: ranges.append(.from(first, through: last))
      case (let first?, nil) where ends[1].isEmpty: ranges.append(.from(first, through: nil))
      case (nil, let count?) where ends[0].isEmpty: ranges.append(.last(count))
      default: return nil
      }
    }
    return ranges.isEmpty || ranges.count > 16 ? nil : ranges
  }

  /// A number beyond all files is as good as the largest.
  private static func number(_ text: Substring) -> Int64? { text.isEmpty ? nil : Int64(text) ?? .max }

  /// The bytes it means in a file of this size; nil when there are none.
  func resolve(size: Int64) -> Range<Int64>? {
    switch self {
    case .from(let first, let last):
      guard first < size else { return nil }
      return first..<min(size, (last ?? size - 1) + (last == .max ? 0 : 1))
    case .last(let count):
      guard count > 0, size > 0 else { return nil }
      return max(0, size - count)..<size
    }
  }
}
