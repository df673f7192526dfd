import Clocks
import Cryptography
import Foundation
import Logging
import Marketplace
import MarketplaceClient
import Synchronization
import Testing
import Wire

@testable import Miner

@Suite("Transfers")
struct TransferTests {
  private func transport(_ server: StubServer) throws -> HTTPTransport {
    HTTPTransport(ClientConfiguration(url: try CoordinatorURL("http://127.0.0.1:\(server.port)"), apiKey: "k"))
  }

  /// Fetches one input of these bytes from a server that does as `answer` says. Returns what is in the folder.
  private func fetch(
    _ inputs: [JobInputFile], timeout: Seconds = Seconds(30),
    _ answer: @escaping @Sendable (StubServer.Request) -> StubServer.Answer
  ) async throws -> (folder: TemporaryFolder, requests: [StubServer.Request]) {
    let server = try await StubServer.start(answer)
    let transport = try transport(server)
    let folder = try TemporaryFolder()
    let outcome: Result<Void, any Error>
    do {
      outcome = .success(
        try await InputFetcher(transport: transport, clock: HastyClock(), timeout: timeout)
          .fetch(inputs, into: folder.path))
    } catch {
      outcome = .failure(error)
    }
    await transport.shutdown()
    await server.stop()
    try outcome.get()
    return (folder, server.requests)
  }

  private func input(_ path: String, _ bytes: [UInt8], executable: Bool = false) -> JobInputFile {
    JobInputFile(path: path, sha256: SHA256.hash(bytes).hex, isExecutable: executable)
  }

  private func failure(_ body: () async throws -> Void) async -> JobErrorCode? {
    do {
      try await body()
      return nil
    } catch let error as InputFailure {
      return error.error.code
    } catch {
      Issue.record("another error: \(error)")
      return nil
    }
  }

  @Test func `inputs arrive where they belong, with their rights`() async throws {
    let files = (0..<10).map { "file \($0)" }
    let inputs = files.enumerated().map { input("d\($0 % 3)/f\($0)", Array($1.utf8), executable: $0 == 4) }
    let contents = Dictionary(uniqueKeysWithValues: zip(inputs.map(\.sha256), files))
    let (folder, requests) = try await fetch(inputs) { request in
      StubServer.Answer(body: Array((contents[String(request.path.dropFirst("/v1/blobs/".count))] ?? "").utf8))
    }
    for (file, text) in zip(inputs, files) {
      #expect(try String(contentsOfFile: folder.path + "/" + file.path, encoding: .utf8) == text)
    }
    var status = stat()
    #expect(stat(folder.path + "/d1/f4", &status) == 0 && status.st_mode & 0o777 == 0o700)
    #expect(stat(folder.path + "/d0/f0", &status) == 0 && status.st_mode & 0o777 == 0o600)
    #expect(requests.count == 10 && requests.allSatisfy { $0.headers["x-api-key"] == "k" })
  }

  @Test func `a connection that breaks goes on where it was cut`() async throws {
    let content = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let (folder, requests) = try await fetch([input("f", content)]) { request in
      let start = request.headers["range"].flatMap { Int($0.dropFirst("bytes=".count).dropLast()) } ?? 0
      let headers =
        start == 0 ? [] : [("Content-Range", "bytes \(start)-\(content.count - 1)/\(content.count)")]
      return StubServer.Answer(
        status: start == 0 ? 200 : 206, headers: headers, body: Array(content[start...]),
        cutAfter: start < 60_000 ? 20_000 : nil)
    }
    #expect(try Array(Data(contentsOf: URL(filePath: folder.path + "/f"))) == content)
    #expect(requests.count == 4)
    #expect(requests.dropFirst().allSatisfy { $0.headers["range"] != nil })
  }

  @Test func `a server without ranges is asked for the whole again`() async throws {
    let content = Array("0123456789".utf8)
    let count = Mutex(0)
    let counter = CounterBox(count)
    let (folder, _) = try await fetch([input("f", content)]) { _ in
      StubServer.Answer(body: content, cutAfter: counter.next() < 3 ? 5 : nil)
    }
    #expect(try Array(Data(contentsOf: URL(filePath: folder.path + "/f"))) == content)
  }

  @Test func `other bytes than the digest's are refused`() async throws {
    #expect(
      await failure { _ = try await fetch([input("f", [1])]) { _ in StubServer.Answer(body: [2]) } }
        == .inputUnavailable)
  }

  @Test func `an input that is not there, or never comes, is told`() async throws {
    #expect(
      await failure { _ = try await fetch([input("f", [1])]) { _ in StubServer.Answer(status: 404) } }
        == .inputUnavailable)
    #expect(
      await failure {
        _ = try await fetch([input("f", [1])], timeout: Seconds(60)) { _ in StubServer.Answer(status: 503) }
      } == .inputUnavailable)
  }

  @Test(arguments: ["../f", "/f", "a/../../f", "", "a//b", "a\0b", "a\\b"])
  func `no input leaves the folder`(path: String) async throws {
    #expect(
      await failure { _ = try await fetch([input(path, [1])]) { _ in StubServer.Answer(body: [1]) } }
        == .inputUnavailable)
  }

  @Test func `inputs that stand in each other's way are told`() async throws {
    for paths in [["a", "a"], ["a", "a/b"]] {
      #expect(
        await failure {
          _ = try await fetch(paths.map { input($0, [1]) }) { _ in StubServer.Answer(body: [1]) }
        } == .inputUnavailable)
    }
  }

  @Test func `artifacts are hashed, sent to their lease and told`() async throws {
    let server = try await StubServer.start { request in
      StubServer.Answer(status: request.method == "HEAD" ? 404 : 201, headers: [("Upload-Offset", "0")])
    }
    let transport = try transport(server)
    let folder = try TemporaryFolder()
    try Data("hello".utf8).write(to: URL(filePath: folder.path + "/f"))
    let uploader = ArtifactUploader(destination: HTTPArtifactDestination(transport: transport))
    let found = [
      ArtifactWalk.Found(path: "b c/é.txt", file: folder.path + "/f", size: 5),
      ArtifactWalk.Found(path: "a", file: folder.path + "/f", size: 5),
    ]
    let facts = try await uploader.send(found, lease: "lt_x", logger: .silent)
    #expect(facts.map(\.path) == ["a", "b c/é.txt"])
    #expect(facts.allSatisfy { $0.size == 5 && $0.sha256 == SHA256.hash("hello".utf8).hex })
    let puts = server.requests.filter { $0.method == "PUT" }
    #expect(Set(puts.map(\.path)) == ["/v1/leases/lt_x/artifacts/a", "/v1/leases/lt_x/artifacts/b%20c/%C3%A9.txt"])
    #expect(puts.allSatisfy { $0.body == Array("hello".utf8) })
    await transport.shutdown()
    await server.stop()
  }

  @Test(
    arguments: [
      (409, nil), (413, .outputTooLarge), (422, .outputTooLarge), (400, .minerError),
    ] as [(Int, JobErrorCode?)])
  func `a refused artifact has its reason`(status: Int, code: JobErrorCode?) async throws {
    let uploader = ArtifactUploader(destination: RefusingDestination(status: status))
    let folder = try TemporaryFolder()
    try Data("hello".utf8).write(to: URL(filePath: folder.path + "/f"))
    do {
      _ = try await uploader.send(
        [ArtifactWalk.Found(path: "f", file: folder.path + "/f", size: 5)], lease: "l", logger: .silent)
      Issue.record("it was not refused")
    } catch UploadFailure.leaseLost {
      #expect(code == nil)
    } catch UploadFailure.failed(let error) {
      #expect(error.code == code)
    }
  }

  /// The disk may stay full for much longer than any number of attempts: the lease decides, not a count.
  @Test(arguments: [(507, "60"), (503, "1"), (429, nil), (500, nil)] as [(Int, String?)])
  func `a coordinator that can't take it now is waited for`(status: Int, retryAfter: String?) async throws {
    let counter = CounterBox(Mutex(0))
    let server = try await StubServer.start { request in
      if request.method == "HEAD" { return StubServer.Answer(status: 404, headers: [("Upload-Offset", "0")]) }
      let headers = retryAfter.map { [("Retry-After", $0)] } ?? []
      return counter.next() <= 40
        ? StubServer.Answer(status: status, headers: headers, body: Array(#"{"detail":"no room"}"#.utf8))
        : StubServer.Answer(status: 201)
    }
    let clock = HastyClock()
    let (facts, waits) = try await uploadFile(to: server, clock: clock)
    #expect(facts.map(\.path) == ["f"])
    #expect(waits.map(\.stalls) == Array(1...40))
    #expect(waits.allSatisfy { $0.reason.description == "no room" })
    let asked = retryAfter.flatMap { Int64($0) } ?? 0
    #expect(waits.allSatisfy { $0.time >= Seconds(asked) && $0.time <= Seconds(asked + 15) })
    #expect(Set(waits.map(\.time)).count > 1, "no jitter")
  }

  @Test func `an upload that another connection still holds is tried again, one whose lease is over is not`()
    async throws
  {
    let counter = CounterBox(Mutex(0))
    let server = try await StubServer.start { request in
      switch (request.method, counter.next()) {
      case (_, 1...3): StubServer.Answer(status: 409, headers: [("Retry-After", "1")])
      case ("HEAD", _): StubServer.Answer(status: 404, headers: [("Upload-Offset", "0")])
      default: StubServer.Answer(status: 201)
      }
    }
    #expect(try await uploadFile(to: server, clock: HastyClock()).facts.count == 1)
    let stale = try await StubServer.start { _ in StubServer.Answer(status: 409) }
    await #expect(throws: UploadFailure.leaseLost) { try await uploadFile(to: stale, clock: HastyClock()) }
  }

  @Test func `a coordinator that is away is waited for`() async throws {
    let counter = CounterBox(Mutex(0))
    let server = try await StubServer.start { request in
      // Closed without an answer.
      if counter.next() <= 40 { return StubServer.Answer(status: 200, body: [1], cutAfter: 0) }
      return StubServer.Answer(status: request.method == "HEAD" ? 404 : 201, headers: [("Upload-Offset", "0")])
    }
    #expect(try await uploadFile(to: server, clock: HastyClock()).facts.count == 1)
  }

  @discardableResult
  private func uploadFile(
    to server: StubServer, clock: HastyClock
  ) async throws -> (facts: [ArtifactFact], waits: [UploadWait]) {
    var configuration = ClientConfiguration(url: try CoordinatorURL("http://127.0.0.1:\(server.port)"), apiKey: "k")
    configuration.clock = clock
    let transport = HTTPTransport(configuration)
    let folder = try TemporaryFolder()
    try Data("hello".utf8).write(to: URL(filePath: folder.path + "/f"))
    let destination = ListeningDestination(HTTPArtifactDestination(transport: transport))
    let result: Result<[ArtifactFact], any Error>
    do {
      result = .success(
        try await ArtifactUploader(destination: destination)
          .send([ArtifactWalk.Found(path: "f", file: folder.path + "/f", size: 5)], lease: "l", logger: .silent))
    } catch {
      result = .failure(error)
    }
    await transport.shutdown()
    await server.stop()
    return (try result.get(), destination.waits)
  }
}

extension Logger {
  fileprivate static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

/// Sleeps for no time at all but lets its own time pass, so that waits are over at once and deadlines still come.
final class HastyClock: MarketClock {
  private let elapsed = Mutex<Int64>(0)
  var now: Timestamp { Timestamp(milliseconds: 1_770_000_000_000) }
  var monotonic: MonotonicTime { MonotonicTime(milliseconds: elapsed.withLock { $0 }) }
  func sleep(until deadline: MonotonicTime) async throws {
    try Task.checkCancellation()
    elapsed.withLock { $0 = max($0, deadline.milliseconds) }
    await Task.yield()
  }
}

private final class CounterBox: Sendable {
  private let count: Mutex<Int>
  init(_ count: consuming Mutex<Int>) { self.count = count }
  func next() -> Int {
    count.withLock {
      $0 += 1
      return $0
    }
  }
}

private struct RefusingDestination: ArtifactDestination {
  let status: Int
  func upload(
    _ file: String, as path: String, lease: String, digest: FileDigest,
    waiting: @escaping @Sendable (UploadWait) -> Void
  ) async throws {
    throw ClientError.problem(Problem(status, "x", "no"))
  }
}

/// Hands on, and remembers what was waited for.
private final class ListeningDestination: ArtifactDestination {
  private let inner: HTTPArtifactDestination
  private let heard = Mutex<[UploadWait]>([])
  var waits: [UploadWait] { heard.withLock { $0 } }

  init(_ inner: HTTPArtifactDestination) { self.inner = inner }

  func upload(
    _ file: String, as path: String, lease: String, digest: FileDigest,
    waiting: @escaping @Sendable (UploadWait) -> Void
  ) async throws {
    try await inner.upload(file, as: path, lease: lease, digest: digest) { [self] wait in
      heard.withLock { $0.append(wait) }
      waiting(wait)
    }
  }
}
