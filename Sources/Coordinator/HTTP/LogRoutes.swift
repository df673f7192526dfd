import Clocks
import HTTPTypes
import Hummingbird
import JSON
import Marketplace
import NIOCore
import Store
import Wire

/// `GET /v1/jobs/{id}/logs`: the bytes of one stream of one try, as the program wrote them.
///
/// `stream` (stdout), `try` (the latest), `offset` (0) or `tail` (last lines), `follow=1` (goes on until the try's end).
/// Headers tell the try, the offset of the first byte, the length so far, and whether that is all.
struct LogRoutes {
  let market: Market

  private static let chunk = 256 * 1024
  /// How far back `tail` looks for line ends.
  private static let tailWindow: Int64 = 8 * 1024 * 1024

  private struct Wish {
    var stream = LogStream.stdout
    var tryNumber: Int?
    var offset: Int64 = 0
    var tail: Int64?
    var follows = false
  }

  func add(to router: Router<AppContext>) {
    router.get("/v1/jobs/:id/logs") { request, context in try await logs(request, context) }
  }

  private func wish(_ request: Request) throws -> Wish {
    var reader = try request.query(["stream", "try", "offset", "tail", "follow"])
    var wish = Wish()
    if let word = reader.string("stream") {
      if let stream = LogStream(rawValue: word) {
        wish.stream = stream
      } else {
        reader.fail("stream", "must be stdout or stderr")
      }
    }
    wish.tryNumber = reader.integer("try", in: 1...100_000).map(Int.init)
    wish.offset = reader.integer("offset", in: 0...Int64.max) ?? 0
    wish.tail = reader.integer("tail", in: 0...1_000_000)
    if wish.tail != nil, reader.string("offset") != nil { reader.fail("tail", "can't stand beside offset") }
    // Who asks for the headers alone does not wait for the end.
    wish.follows = reader.flag("follow") && request.method != .head
    try reader.check()
    return wish
  }

  private func logs(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    let wish = try wish(request)
    let job = try await market.store.read { try $0.ownJob(id, of: identity.account) }
    if let gone = job.resultsGone(at: market.clock.now) { throw MarketError.resultsGone(gone) }
    guard let number = try await number(wish, job) else {
      return respond(Snapshot(tryNumber: 0, length: 0, end: nil), from: 0, wish, job: id)
    }
    let snapshot = try await snapshot(id, number, wish.stream)
    let start = try await start(wish, snapshot, job: id)
    guard start <= snapshot.length || wish.follows else {
      throw Problem(
        416, "offset_past_end", "the log has \(snapshot.length) bytes",
        errors: [FieldError("offset", "is past the end")])
    }
    return respond(snapshot, from: start, wish, job: id)
  }

  /// The try to show; nil while, or because, there is none. Who follows waits for the first one or the job's end.
  private func number(_ wish: Wish, _ job: Job) async throws -> Int? {
    var job = job
    if let number = wish.tryNumber { return number }
    while wish.follows, job.lastTry == 0, !job.state.isTerminal {
      try await market.clock.sleep(for: Seconds(milliseconds: 200))
      let (id, account) = (job.id, job.account)
      job = try await market.store.read { try $0.ownJob(id, of: account) }
    }
    return job.lastTry > 0 ? job.lastTry : nil
  }

  private struct Snapshot {
    var tryNumber: Int
    var length: Int64
    /// Set when the try is over.
    var end: LogRecord?
  }

  private func snapshot(_ job: JobID, _ number: Int, _ stream: LogStream) async throws -> Snapshot {
    let attempt = try await market.store.read { try $0.tryRecord(of: job, number: number) }
    guard let attempt else { throw Problem.notFound("try \(number)") }
    let length = try await market.results.logLength(job, tryNumber: number, stream: stream)
    let end = stream == .stdout ? attempt.stdout : attempt.stderr
    return Snapshot(
      tryNumber: number, length: length,
      end: attempt.state == .held ? nil : end ?? LogRecord(length: length, sha256: ""))
  }

  private func start(_ wish: Wish, _ snapshot: Snapshot, job: JobID) async throws -> Int64 {
    guard let lines = wish.tail else { return wish.offset }
    guard lines > 0, snapshot.length > 0 else { return snapshot.length }
    let from = max(0, snapshot.length - Self.tailWindow)
    let (number, stream, count) = (snapshot.tryNumber, wish.stream, Int(snapshot.length - from))
    let bytes = try await market.results.readLog(job, tryNumber: number, stream: stream, offset: from, count: count)
    return from + Int64(LogTail.start(of: lines, in: bytes))
  }

  private func respond(_ snapshot: Snapshot, from start: Int64, _ wish: Wish, job: JobID) -> Response {
    var headers: HTTPFields = [
      .contentType: "text/plain; charset=utf-8", .cacheControl: "no-store",
      .logTry: String(snapshot.tryNumber), .logOffset: String(start), .logLength: String(snapshot.length),
      .logComplete: snapshot.end == nil ? "false" : "true",
    ]
    if let sha256 = snapshot.end?.sha256, !sha256.isEmpty { headers[.logSHA256] = sha256 }
    guard snapshot.tryNumber > 0 else { return Response(status: .ok, headers: headers) }
    let follows = wish.follows && snapshot.end == nil
    let length = follows ? nil : Int(max(0, snapshot.length - start))
    let body = ResponseBody(contentLength: length) { writer in
      try await send(to: &writer, job: job, snapshot: snapshot, stream: wish.stream, from: start, follows: follows)
    }
    return Response(status: .ok, headers: headers, body: body)
  }

  private func send(
    to writer: inout any ResponseBodyWriter, job: JobID, snapshot: Snapshot, stream: LogStream, from start: Int64,
    follows: Bool
  ) async throws {
    var position = start
    var snapshot = snapshot
    while true {
      while position < snapshot.length {
        let (offset, count) = (position, Int(min(Int64(Self.chunk), snapshot.length - position)))
        let number = snapshot.tryNumber
        let bytes = try await market.results.readLog(
          job, tryNumber: number, stream: stream, offset: offset, count: count)
        guard !bytes.isEmpty else { throw ShortFile() }
        try await writer.write(ByteBuffer(bytes: bytes))
        position += Int64(bytes.count)
      }
      guard follows, snapshot.end == nil else { break }
      try await market.clock.sleep(for: Seconds(milliseconds: 200))
      snapshot = try await self.snapshot(job, snapshot.tryNumber, stream)
    }
    try await writer.finish(nil)
  }
}

/// Finds where the last lines of a text begin.
enum LogTail {
  /// The index at which the last `lines` lines start. A line end at the very end begins no further line.
  static func start(of lines: Int64, in bytes: [UInt8]) -> Int {
    guard lines > 0 else { return bytes.count }
    var seen: Int64 = 0
    var index = bytes.count - 1
    while index >= 0 {
      if bytes[index] == 10, index != bytes.count - 1 {
        seen += 1
        if seen == lines { return index + 1 }
      }
      index -= 1
    }
    return 0
  }
}
