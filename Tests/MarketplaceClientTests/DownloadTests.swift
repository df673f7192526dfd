import Cryptography
import LoopbackServer
import Synchronization
import Testing

@testable import MarketplaceClient

@Suite struct DownloadPlanTests {
  static func answer(_ status: Int, _ headers: [(String, String)] = []) -> APIAnswer {
    APIAnswer(status: status, headers: AnswerHeaders(headers), body: [])
  }

  @Test func steps() {
    let plan = DownloadPlan(total: 20)
    #expect(plan.answered(Self.answer(200), have: 0) == .write(at: 0))
    #expect(plan.answered(Self.answer(200), have: 5) == .write(at: 0))
    #expect(plan.answered(Self.answer(206, [("Content-Range", "bytes 5-19/20")]), have: 5) == .write(at: 5))
    #expect(plan.answered(Self.answer(206, [("Content-Range", "bytes 4-19/20")]), have: 5) == .restart)
    #expect(plan.answered(Self.answer(206, [("Content-Range", "bytes 5-20/21")]), have: 5) == .restart)
    #expect(plan.answered(Self.answer(416), have: 5) == .restart)
    for bad in [Self.answer(206), Self.answer(404), Self.answer(500), Self.answer(200, [("Content-Length", "21")])] {
      guard case .fail = plan.answered(bad, have: 5) else {
        Issue.record("\(bad)")
        continue
      }
    }
    guard case .fail = plan.answered(Self.answer(416), have: 0) else { return #expect(Bool(false)) }
  }

  @Test(arguments: [
    "", "bytes", "bytes 1-2", "bytes 2-1/3", "bytes 0-3/3", "bytes -1/3", "items 0-1/3", "bytes 0-1/*", "bytes +0-1/3",
    "bytes 0-1/3 ",
  ])
  func badRanges(_ text: String) { #expect(ContentRange(text) == nil) }

  @Test func digestsInHeaders() throws {
    let digest = SHA256.hash([1, 2, 3])
    let other = SHA256.hash([4])
    func read(_ pairs: [(String, String)]) -> SHA256Digest? { DigestHeaders.sha256(AnswerHeaders(pairs)) }
    #expect(read([("repr-digest", "sha-256=:\(digest.base64):")]) == digest)
    #expect(read([("Repr-Digest", "sha-512=:AAAA:, sha-256=:\(digest.base64):")]) == digest)
    #expect(read([("ETag", "\"\(digest.hex)\"")]) == digest)
    #expect(read([("Repr-Digest", "sha-256=:\(digest.base64):"), ("ETag", "\"\(other.hex)\"")]) == digest)
    for bad in ["sha-256=:", "sha-256=::", "sha-256=:AAAA:", "sha-256=\(digest.base64)", ""] {
      #expect(read([("Repr-Digest", bad)]) == nil)
    }
    #expect(read([("ETag", "W/\"\(digest.hex)\"")]) == nil)
    #expect(read([]) == nil)
  }
}

@Suite struct ResumableDownloadTests {
  static let content = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 / 3) }
  static let digest = SHA256.hash(content)

  /// A server as RFC 9110 wants it; the first answers are cut after these many bytes.
  static func serve(_ content: [UInt8] = content, cuts: [Int] = [], honoursRange: Bool = true) -> LoopbackServer.Answer
  {
    let cuts = Cuts(cuts)
    let digest = SHA256.hash(content)
    return { request in
      let headers = [("ETag", "\"\(digest.hex)\""), ("Repr-Digest", "sha-256=:\(digest.base64):")]
      if request.method == "HEAD" {
        return LoopbackAnswer(200, bytes: [], headers: headers + [("Content-Length", "\(content.count)")])
      }
      let cut = cuts.next()
      if honoursRange, let range = request[header: "Range"], request[header: "If-Range"] == "\"\(digest.hex)\"" {
        let start = Int(range.dropFirst(6).dropLast()) ?? 0
        let fields = headers + [("Content-Range", "bytes \(start)-\(content.count - 1)/\(content.count)")]
        return LoopbackAnswer(206, bytes: Array(content[start...]), headers: fields, cutAfter: cut)
      }
      return LoopbackAnswer(200, bytes: content, headers: headers, cutAfter: cut)
    }
  }

  final class Cuts: Sendable {
    private let rest: Mutex<[Int]>
    init(_ cuts: [Int]) { rest = Mutex(cuts) }
    func next() -> Int? { rest.withLock { $0.isEmpty ? nil : $0.removeFirst() } }
  }

  private func fetch(_ url: String, to target: String, expecting: SHA256Digest? = nil) async throws -> FileDigest {
    try await withClient(url) { try await $0.download("job_1").fetch(to: target, expecting: expecting) }
  }

  @Test func whole() async throws {
    try await TemporaryFolder.with { folder in
      try await LoopbackServer.with(Self.serve()) { server in
        let progress = Mutex<(Int64, Int64)>((0, 0))
        let result = try await withClient(server.url) { client in
          try await client.download("job_1").fetch(to: folder + "/output.zip") { done, total in
            progress.withLock { $0 = (done, total) }
          }
        }
        #expect(result == FileDigest(size: 100_000, sha256: Self.digest))
        #expect(progress.withLock { $0 } == (100_000, 100_000))
        let bytes1 = try TemporaryFolder.read(folder + "/output.zip")
        #expect(bytes1 == Self.content)
        #expect(TemporaryFolder.names(in: folder) == ["output.zip"])
      }
    }
  }

  @Test(arguments: [true, false])
  func cutAgainAndAgain(_ honoursRange: Bool) async throws {
    try await TemporaryFolder.with { folder in
      try await LoopbackServer.with(Self.serve(cuts: [10_000, 20_000, 1, 0], honoursRange: honoursRange)) { server in
        let result2 = try await fetch(server.url, to: folder + "/output.zip")
        #expect(result2.sha256 == Self.digest)
        let bytes3 = try TemporaryFolder.read(folder + "/output.zip")
        #expect(bytes3 == Self.content)
        #expect(TemporaryFolder.names(in: folder) == ["output.zip"])
        let ranges = server.requests.filter { $0.method == "GET" }.map { $0[header: "Range"] }
        if honoursRange { #expect(ranges == [nil, "bytes=10000-", "bytes=30000-", "bytes=30001-", "bytes=30001-"]) }
      }
    }
  }

  @Test func anEarlierPartIsContinued() async throws {
    try await TemporaryFolder.with { folder in
      let part = folder + "/output.zip.\(Self.digest.hex.prefix(16)).part"
      try TemporaryFolder.write(Array(Self.content.prefix(777)), to: part)
      try TemporaryFolder.write([1], to: folder + "/output.zip.0000000000000000.part")
      try await LoopbackServer.with(Self.serve()) { server in
        let result4 = try await fetch(server.url, to: folder + "/output.zip")
        #expect(result4.sha256 == Self.digest)
        #expect(server.requests.last?[header: "Range"] == "bytes=777-")
        #expect(TemporaryFolder.names(in: folder) == ["output.zip", "output.zip.0000000000000000.part"])
      }
    }
  }

  @Test func aDamagedPartIsFetchedAnew() async throws {
    try await TemporaryFolder.with { folder in
      let part = folder + "/output.zip.\(Self.digest.hex.prefix(16)).part"
      try TemporaryFolder.write([UInt8](repeating: 9, count: 777), to: part)
      try await LoopbackServer.with(Self.serve()) { server in
        let result5 = try await fetch(server.url, to: folder + "/output.zip")
        #expect(result5.sha256 == Self.digest)
        #expect(server.requests.filter { $0.method == "GET" }.map { $0[header: "Range"] } == ["bytes=777-", nil])
        #expect(TemporaryFolder.names(in: folder) == ["output.zip"])
      }
    }
  }

  @Test func otherBytesThanTheDigestsLeaveNothing() async throws {
    let answer: LoopbackServer.Answer = { request in
      let headers = [("Repr-Digest", "sha-256=:\(Self.digest.base64):")]
      if request.method == "HEAD" { return LoopbackAnswer(200, headers: headers + [("Content-Length", "3")]) }
      return LoopbackAnswer(200, bytes: [1, 2, 3], headers: headers)
    }
    try await TemporaryFolder.with { folder in
      try await LoopbackServer.with(answer) { server in
        do {
          _ = try await fetch(server.url, to: folder + "/output.zip")
          Issue.record("no error")
        } catch ClientError.integrity {}
        #expect(TemporaryFolder.names(in: folder) == [])
      }
    }
  }

  @Test func aPartThatIsTooLongBeginsAnew() async throws {
    try await TemporaryFolder.with { folder in
      let part = folder + "/f.\(Self.digest.hex.prefix(16)).part"
      try TemporaryFolder.write([UInt8](repeating: 9, count: 100_001), to: part)
      try await LoopbackServer.with(Self.serve()) { server in
        let result6 = try await fetch(server.url, to: folder + "/f")
        #expect(result6.sha256 == Self.digest)
      }
    }
  }

  @Test func theOldFileStaysUntilTheNewIsWhole() async throws {
    try await TemporaryFolder.with { folder in
      try TemporaryFolder.write([7], to: folder + "/f")
      try await LoopbackServer.with(Self.serve(cuts: Array(repeating: 0, count: 50))) { server in
        await #expect(throws: ClientError.self) { try await fetch(server.url, to: folder + "/f") }
        #expect(server.requests.filter { $0.method == "GET" }.count == DownloadPlan.maximumStalls)
        let bytes7 = try TemporaryFolder.read(folder + "/f")
        #expect(bytes7 == [7])
      }
    }
  }

  @Test func anotherDigestThanExpected() async throws {
    try await TemporaryFolder.with { folder in
      try await LoopbackServer.with(Self.serve()) { server in
        await #expect(throws: ClientError.self) {
          try await fetch(server.url, to: folder + "/f", expecting: SHA256.hash([0]))
        }
        #expect(TemporaryFolder.names(in: folder) == [])
      }
    }
  }

  @Test func theReasonOfARefusalIsTold() async throws {
    try await TemporaryFolder.with { folder in
      try await LoopbackServer.with({ _ in LoopbackAnswer(425, #"{"detail":"job not ready","code":"not_finished"}"#) })
      { server in
        do {
          _ = try await fetch(server.url, to: folder + "/f")
          Issue.record("no error")
        } catch let error as ClientError {
          #expect(error.description == "job not ready")
          #expect(error.status == 425)
        }
      }
    }
  }

  @Test func emptyFiles() async throws {
    try await TemporaryFolder.with { folder in
      try await LoopbackServer.with(Self.serve([])) { server in
        let result8 = try await fetch(server.url, to: folder + "/f")
        #expect(result8.size == 0)
        #expect(TemporaryFolder.names(in: folder) == ["f"])
      }
    }
  }
}
