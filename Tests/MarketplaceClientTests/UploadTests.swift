import Cryptography
import LoopbackServer
import Marketplace
import Synchronization
import Testing
import Wire

@testable import MarketplaceClient

@Suite struct UploadPlanTests {
  static func answer(_ status: Int, _ offset: Int64? = nil) -> APIAnswer {
    APIAnswer(status: status, headers: AnswerHeaders(offset.map { [("Upload-Offset", "\($0)")] } ?? []), body: [])
  }

  @Test func wholeFileThereAlready() {
    var plan = UploadPlan(size: 10)
    #expect(plan.probed(Self.answer(200)) == .done(wasThere: true))
  }

  @Test func resumesWhereTheServerIs() {
    var plan = UploadPlan(size: 100, pieceBytes: 40)
    #expect(plan.probed(Self.answer(404, 30)) == .send(30..<70))
    #expect(plan.sent(Self.answer(202, 70)) == .send(70..<100))
    #expect(plan.sent(Self.answer(201)) == .done(wasThere: false))
  }

  @Test func wrongOffsetIsCorrected() {
    var plan = UploadPlan(size: 100, pieceBytes: 40)
    #expect(plan.probed(Self.answer(404)) == .send(0..<40))
    #expect(plan.sent(Self.answer(409, 20)) == .send(20..<60))
  }

  /// The connection broke after the last byte: no byte is sent twice.
  @Test func allBytesButNoWholeIsConfirmed() {
    var plan = UploadPlan(size: 100, pieceBytes: 40)
    #expect(plan.probed(Self.answer(404, 100)) == .send(100..<100))
    #expect(plan.sent(Self.answer(201)) == .done(wasThere: false))
  }

  @Test(arguments: [400, 422]) func whatCannotBeConfirmedBeginsAnew(_ status: Int) {
    var plan = UploadPlan(size: 100, pieceBytes: 40)
    #expect(plan.probed(Self.answer(404, 100)) == .send(100..<100))
    #expect(plan.sent(Self.answer(status)) == .send(0..<100))
    guard case .fail = plan.sent(Self.answer(status)) else { return #expect(Bool(false)) }
  }

  /// A full disk costs a small piece each time, not a large one.
  @Test func piecesAreSmallAfterARefusal() {
    let (small, large) = (UploadPlan.cautiousBytes, Int64(64 << 20))
    var plan = UploadPlan(size: 1 << 40, pieceBytes: large, isPatient: true)
    #expect(plan.probed(Self.answer(404, 0)) == .send(0..<large))
    for count in 1...3 {
      #expect(plan.sent(Self.answer(507)) == .waitAndProbe(stalls: count))
      #expect(plan.probed(Self.answer(404, 0)) == .send(0..<small))
    }
    var (offset, size) = (small, small)
    while size < large {
      size = min(large, size * 2)
      #expect(plan.sent(Self.answer(202, offset)) == .send(offset..<offset + size))
      offset += size
    }
    // What a broken connection had brought is kept: nothing to be careful about.
    #expect(plan.failed(.unreachable(url: "u", reason: "r")) == .waitAndProbe(stalls: 1))
    #expect(plan.probed(Self.answer(404, offset)) == .send(offset..<offset + large))
  }

  @Test func emptyFile() {
    var plan = UploadPlan(size: 0)
    #expect(plan.probed(Self.answer(404)) == .send(0..<0))
    #expect(plan.sent(Self.answer(201)) == .done(wasThere: false))
  }

  @Test func noHeadwayEnds() {
    var plan = UploadPlan(size: 100, pieceBytes: 40)
    var step = plan.probed(Self.answer(404, 0))
    var rounds = 0
    while case .send = step {
      step = plan.sent(Self.answer(409, 0))
      rounds += 1
      #expect(rounds <= UploadPlan.maximumStalls)
    }
    guard case .fail = step else { return #expect(Bool(false), "\(step)") }
    #expect(rounds == UploadPlan.maximumStalls)
  }

  @Test func failuresAreBoundedAndHeadwayForgivesThem() {
    var plan = UploadPlan(size: 1000, pieceBytes: 10)
    let broken = ClientError.unreachable(url: "u", reason: "r")
    _ = plan.probed(Self.answer(404, 0))
    for count in 1..<UploadPlan.maximumStalls { #expect(plan.failed(broken) == .waitAndProbe(stalls: count)) }
    #expect(plan.probed(Self.answer(404, 10)) == .send(10..<20))
    for count in 1..<UploadPlan.maximumStalls { #expect(plan.failed(broken) == .waitAndProbe(stalls: count)) }
    #expect(plan.failed(broken) == .fail(broken))
  }

  /// What the coordinator can't take now is waited for as long as somebody wants it delivered.
  @Test func patienceHasNoCount() {
    let full = ClientError.problem(Problem(507, "disk_full", "full", retryAfter: 10))
    var plan = UploadPlan(size: 100, isPatient: true)
    #expect(plan.probed(Self.answer(404, 0)) == .send(0..<100))
    for count in 1...100 {
      #expect(plan.failed(full) == .waitAndProbe(stalls: count))
      #expect(plan.trouble == full)
      // The same place again is no second failure.
      #expect(plan.probed(Self.answer(404, 0)) == .send(0..<100))
    }
    #expect(plan.sent(Self.answer(201)) == .done(wasThere: false))
  }

  @Test func patienceIsNoBusyLoop() {
    var plan = UploadPlan(size: 100, pieceBytes: 40, isPatient: true)
    var step = plan.probed(Self.answer(404, 0))
    for _ in 1..<UploadPlan.maximumStalls {
      #expect(step == .send(0..<40))
      step = plan.sent(Self.answer(409, 0))
    }
    #expect(plan.sent(Self.answer(409, 0)) == .waitAndProbe(stalls: UploadPlan.maximumStalls))
  }

  @Test(arguments: [true, false]) func anUploadThatIsHeldElsewhereIsTriedAgain(_ isProbe: Bool) {
    let busy = APIAnswer(status: 409, headers: AnswerHeaders([("Retry-After", "1")]), body: [])
    var plan = UploadPlan(size: 10)
    #expect((isProbe ? plan.probed(busy) : plan.sent(busy)) == .waitAndProbe(stalls: 1))
    let stale = APIAnswer(status: 409, headers: AnswerHeaders([]), body: [])
    guard case .fail(.problem(let problem)) = isProbe ? plan.probed(stale) : plan.sent(stale) else {
      return #expect(Bool(false))
    }
    #expect(problem.status == 409)
  }

  @Test func theWaitIsWhatTheCoordinatorAsksForAndJitter() {
    var generator = SystemRandomNumberGenerator()
    for (asked, shortest, longest) in [(nil, 0, 4), (10, 10, 14), (3_600, 60, 64)] as [(Int?, Int64, Int64)] {
      let trouble = ClientError.problem(Problem(507, "disk_full", "full", retryAfter: asked))
      let wait = UploadWait(for: trouble, stalls: 3, using: &generator)
      #expect(wait.time >= Seconds(shortest) && wait.time <= Seconds(longest) && wait.reason == trouble)
    }
  }

  @Test(arguments: [400, 401, 403, 413, 422])
  func refusalsEndAtOnce(_ status: Int) {
    for isProbe in [true, false] {
      var plan = UploadPlan(size: 10)
      let step = isProbe ? plan.probed(Self.answer(status)) : plan.sent(Self.answer(status))
      guard case .fail(.problem(let problem)) = step else {
        Issue.record("\(step)")
        continue
      }
      #expect(problem.status == status)
    }
  }

  @Test func aServerThatHasTooMuch() {
    var plan = UploadPlan(size: 10)
    guard case .fail(.unexpected) = plan.probed(Self.answer(404, 11)) else { return #expect(Bool(false)) }
  }
}

/// Keeps an upload as the protocol says.
private final class UploadStore: Sendable {
  let bytes = Mutex<[UInt8]>([])
  let isWhole = Mutex(false)

  func answer(_ request: LoopbackRequest) -> LoopbackAnswer {
    let here = bytes.withLock { $0.count }
    if isWhole.withLock({ $0 }) { return LoopbackAnswer(200, headers: [("Upload-Offset", "\(here)")]) }
    if request.method == "HEAD" { return LoopbackAnswer(404, headers: [("Upload-Offset", "\(here)")]) }
    var start = 0
    var total = request[header: "Content-Length"].flatMap(Int.init) ?? 0
    if let range = request[header: "Content-Range"].flatMap(ContentRange.init) {
      (start, total) = (Int(range.first), Int(range.total))
    } else {
      bytes.withLock { $0 = [] }
    }
    guard start == bytes.withLock({ $0.count }) else {
      return LoopbackAnswer(409, headers: [("Upload-Offset", "\(here)")])
    }
    let count = bytes.withLock { stored in
      stored += request.body
      return stored.count
    }
    guard count == total else { return LoopbackAnswer(202, headers: [("Upload-Offset", "\(count)")]) }
    isWhole.withLock { $0 = true }
    return LoopbackAnswer(201)
  }
}

@Suite struct ResumableUploadTests {
  @Test(arguments: [0, 1, 999, 1000, 1001, 300_000])
  func arrivesWhole(_ size: Int) async throws {
    try await TemporaryFolder.with { folder in
      let store = UploadStore()
      let content = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      try TemporaryFolder.write(content, to: folder + "/f")
      try await LoopbackServer.with({ store.answer($0) }) { server in
        try await withClient(server.url) { client in
          let digest = try FileDigest.of(folder + "/f")
          #expect(digest.sha256 == SHA256.hash(content))
          let path = APIPath("leases", "t/k", "artifacts").appending(file: "a b/ü.bin")
          let upload = ResumableUpload(client.transport, to: path, headers: [("X-Lease-Token", "t")], pieceBytes: 1000)
          let result9 = try await upload.send(folder + "/f", digest: digest)
          #expect(result9 == .sent)
          let result10 = try await upload.send(folder + "/f", digest: digest)
          #expect(result10 == .wasThere)
        }
        #expect(store.bytes.withLock { $0 } == content)
        #expect(server.requests.allSatisfy { $0.path == "/v1/leases/t%2Fk/artifacts/a%20b/%C3%BC.bin" })
        #expect(server.requests.allSatisfy { $0[header: "X-Lease-Token"] == "t" })
        let puts = server.requests.filter { $0.method == "PUT" }
        #expect(puts.allSatisfy { $0[header: "Repr-Digest"] == "sha-256=:\(SHA256.hash(content).base64):" })
        #expect(puts.count == max(1, (size + 999) / 1000))
      }
    }
  }

  @Test func cutConnectionsCostOnlyWhatWasUnderWay() async throws {
    try await TemporaryFolder.with { folder in
      let store = UploadStore()
      let content = (0..<500_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
      try TemporaryFolder.write(content, to: folder + "/f")
      try await LoopbackServer.with({ store.answer($0) }) { server in
        server.cutUploads(after: [100_000, 1, 250_000])
        try await withClient(server.url) { client in
          let digest = try FileDigest.of(folder + "/f")
          let result11 = try await client.upload(blob: folder + "/f", digest: digest)
          #expect(result11 == .sent)
        }
        #expect(store.bytes.withLock { $0 } == content)
        let ranges = server.requests.filter { $0.method == "PUT" }.map { $0[header: "Content-Range"] }
        #expect(
          ranges == [nil, "bytes 100000-499999/500000", "bytes 100001-499999/500000", "bytes 350001-499999/500000"])
      }
    }
  }

  @Test func aFileThatGrewIsRefused() async throws {
    try await TemporaryFolder.with { folder in
      try TemporaryFolder.write([1, 2, 3], to: folder + "/f")
      let digest = try FileDigest.of(folder + "/f")
      try TemporaryFolder.write([1, 2, 3, 4], to: folder + "/f")
      try await LoopbackServer.with({ _ in LoopbackAnswer(404) }) { server in
        await #expect(throws: ClientError.self) {
          try await withClient(server.url) { try await $0.upload(blob: folder + "/f", digest: digest) }
        }
        #expect(server.requests.isEmpty)
      }
    }
  }

  @Test func foldersAreNoFiles() async throws {
    try await TemporaryFolder.with { folder in
      #expect(throws: ClientError.self) { try FileDigest.of(folder) }
      #expect(throws: ClientError.self) { try FileDigest.of(folder + "/none") }
    }
  }
}
