import Cryptography
import HTTPTypes
import Hummingbird
import Marketplace
import NIOCore
import ResultPackage
import Store
import Wire

/// One file that is being uploaded.
struct Upload {
  /// What the file is for.
  enum Place: Sendable {
    /// An account's input.
    case blob(AccountID)
    case artifact(LeaseTable.Lease, ArtifactPath)
  }

  let market: Market
  let place: Place
  let digest: SHA256Digest

  private func open() throws -> UploadFile {
    switch place {
    case .blob(let account): try market.files.openBlobUpload(digest, account: account)
    case .artifact(let lease, let path):
      try market.files.openArtifactUpload(
        lease.job, tryNumber: lease.tryNumber, path: path.string, digest: digest)
    }
  }

  private func lengthOnDisk() throws -> Int64 {
    switch place {
    case .blob(let account): try market.files.blobUploadLength(digest, account: account)
    case .artifact(let lease, let path):
      try market.files.artifactUploadLength(
        lease.job, tryNumber: lease.tryNumber, path: path.string, digest: digest)
    }
  }

  private func alone<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    do {
      return try await market.blockingly(body)
    } catch FileStoreError.busy {
      throw Problem(409, "upload_busy", "another connection is writing this upload", retryAfter: 1)
    }
  }

  /// How much of it is here. Throws `FileStoreError.diskFull` while no more can be taken, so that nobody sends in vain.
  func length() async throws -> Int64 {
    try await alone {
      if let whole = try wholeLength() { return whole }
      try market.files.requireWritable()
      return try lengthOnDisk()
    }
  }

  /// The size of the file that was finished without becoming known under this name: the process was killed in between,
  /// or another artifact of the try has the same bytes. Nil when there is none.
  private func wholeLength() throws -> Int64? {
    do {
      switch place {
      case .blob: return try market.files.readBlob(digest).size()
      case .artifact(let lease, _):
        return try market.files.readArtifact(lease.job, tryNumber: lease.tryNumber, digest: digest).size()
      }
    } catch FileStoreError.notFound {
      return nil
    }
  }

  /// Takes the body. The size is set when the file is whole, right and durable.
  func receive(_ request: Request) async throws -> (Response, Int64?) {
    let range = try Self.contentRange(request)
    let limit = market.configuration.fileLimit
    let total = range?.total ?? request.headers[.contentLength].flatMap(Int64.init)
    guard let total else { throw Problem(411, "length_required", "give Content-Length or Content-Range") }
    guard total <= limit else { throw Problem(413, "file_too_large", "files may have at most \(limit) bytes") }
    // Only the confirmation begins at the end.
    if range?.start == total, try await market.blockingly({ try wholeLength() }) == total {
      return (Self.offset(total, status: .created), total)
    }
    let file = try await alone(open)
    defer { file.close() }
    guard range == nil || range?.start == file.length else {
      return (Self.offset(file.length, status: .conflict), nil)
    }
    try await append(request, to: file, start: range?.start ?? 0, count: range.map { $0.end - $0.start } ?? total)
    guard file.length >= total else { return (Self.offset(file.length, status: .accepted), nil) }
    return try await finish(file, total: total)
  }

  /// Appends the body, which begins at `start`; what is here already is passed over.
  private func append(_ request: Request, to file: UploadFile, start: Int64, count: Int64) async throws {
    ExpectContinue.send()
    var position = start
    for try await part in request.body {
      guard position + Int64(part.readableBytes) <= start + count else {
        throw Problem(400, "body_too_long", "the body is longer than announced")
      }
      let known = Int(clamping: min(Int64(part.readableBytes), max(0, file.length - position)))
      position += Int64(part.readableBytes)
      guard known < part.readableBytes else { continue }
      let bytes = Array(part.readableBytesView.dropFirst(known))
      try await market.blockingly { try file.append(bytes, at: file.length) }
    }
  }

  private func finish(_ file: UploadFile, total: Int64) async throws -> (Response, Int64?) {
    let digest = digest
    do {
      try await market.blockingly { try file.finish(expectedSize: total, expectedSHA256: digest) }
    } catch FileStoreError.mismatch {
      throw Problem(422, "digest_mismatch", "the bytes that arrived have another size or SHA-256; begin again")
    }
    return (Self.offset(total, status: .created), total)
  }

  private static func offset(_ offset: Int64, status: HTTPResponse.Status) -> Response {
    Response(status: status, headers: [.uploadOffset: String(offset)])
  }

  /// `bytes A-B/TOTAL`, or `bytes */TOTAL` for no bytes at the end; nil without the header. Throws 422 for another
  /// form.
  static func contentRange(_ request: Request) throws -> (start: Int64, end: Int64, total: Int64)? {
    guard let header = request.headers[.contentRange] else { return nil }
    let parts = header.split { $0 == " " || $0 == "-" || $0 == "/" }
    if header.hasPrefix("bytes */"), parts.count == 3, let total = Int64(parts[2]), total > 0 {
      return (total, total, total)
    }
    guard parts.count == 4, parts[0] == "bytes", let first = Int64(parts[1]), let last = Int64(parts[2]),
      let total = Int64(parts[3]), first <= last, last < total
    else {
      throw Problem.invalid([
        FieldError("Content-Range", "must be bytes A-B/TOTAL, or bytes */TOTAL without a body")
      ])
    }
    return (first, last + 1, total)
  }
}
