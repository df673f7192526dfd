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

@Suite("Input cache")
struct BlobCacheTests {
  /// A server that has every blob of `contents`, a cache in a folder, and what was asked.
  private func with(
    _ contents: [[UInt8]], limit: Int64 = 1 << 20, folder: TemporaryFolder? = nil, delay: Bool = false,
    cutAfter: Int? = nil, _ body: (InputFetcher, TemporaryFolder, StubServer) async throws -> Void
  ) async throws {
    let known = Dictionary(contents.map { (SHA256.hash($0).hex, $0) }, uniquingKeysWith: { $1 })
    let cuts = Mutex(cutAfter == nil ? 0 : 1)
    let server = try await StubServer.start { request in
      guard let bytes = known[String(request.path.dropFirst("/v1/blobs/".count))] else {
        return StubServer.Answer(status: 404)
      }
      let start = request.headers["range"].flatMap { Int($0.dropFirst("bytes=".count).dropLast()) } ?? 0
      guard start < bytes.count || bytes.isEmpty else { return StubServer.Answer(status: 416) }
      let isCut = cuts.withLock { rest in
        rest -= 1
        return rest >= 0
      }
      return StubServer.Answer(
        status: start == 0 ? 200 : 206,
        headers: start == 0 ? [] : [("Content-Range", "bytes \(start)-\(bytes.count - 1)/\(bytes.count)")],
        body: Array(bytes[start...]), cutAfter: isCut ? cutAfter : nil)
    }
    let transport = HTTPTransport(
      ClientConfiguration(url: try CoordinatorURL("http://127.0.0.1:\(server.port)"), apiKey: "k"))
    let folder = try folder ?? TemporaryFolder()
    let cache = try BlobCache(
      directory: folder.path + "/cache", limit: limit, transport: transport, clock: HastyClock(),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let outcome: Result<Void, any Error>
    do {
      outcome = .success(
        try await body(
          InputFetcher(transport: transport, clock: HastyClock(), timeout: Seconds(30), cache: cache), folder, server))
    } catch {
      outcome = .failure(error)
    }
    await transport.shutdown()
    await server.stop()
    try outcome.get()
  }

  private func input(_ bytes: [UInt8], _ path: String = "f") -> JobInputFile {
    JobInputFile(path: path, sha256: SHA256.hash(bytes).hex, isExecutable: false)
  }

  /// Fetches into a new job folder; its contents.
  private func job(_ fetcher: InputFetcher, _ folder: TemporaryFolder, _ inputs: [JobInputFile]) async throws -> [Data]
  {
    let place = folder.path + "/" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    try await fetcher.fetch(inputs, into: place)
    return try inputs.map { try Data(contentsOf: URL(filePath: place + "/" + $0.path)) }
  }

  private func kept(_ folder: TemporaryFolder) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path + "/cache").sorted()
  }

  @Test func `the second job costs no request, after a restart too`() async throws {
    let bytes = Array("input".utf8)
    let folder = try TemporaryFolder()
    try await with([bytes], folder: folder) { fetcher, folder, server throws in
      for _ in 0..<3 { #expect(try await job(fetcher, folder, [input(bytes)]) == [Data(bytes)]) }
      #expect(server.requests.count == 1)
    }
    try await with([], folder: folder) { fetcher, folder, server throws in
      #expect(try await job(fetcher, folder, [input(bytes)]) == [Data(bytes)])
      #expect(server.requests.isEmpty)
    }
  }

  @Test func `jobs at once share one fetch`() async throws {
    let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    try await with([bytes]) { fetcher, folder, server throws in
      try await withThrowingTaskGroup(of: [Data].self) { group in
        for _ in 0..<8 { group.addTask { try await job(fetcher, folder, [input(bytes)]) } }
        for try await found in group { #expect(found == [Data(bytes)]) }
      }
      #expect(server.requests.count == 1)
    }
  }

  @Test func `a job can't change what others get`() async throws {
    let bytes = Array("input".utf8)
    try await with([bytes]) { fetcher, folder, server throws in
      let place = folder.path + "/one"
      try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
      try await fetcher.fetch([input(bytes)], into: place)
      try Data("other".utf8).write(to: URL(filePath: place + "/f"))
      #expect(try await job(fetcher, folder, [input(bytes)]) == [Data(bytes)])
      #expect(server.requests.count == 1)
    }
  }

  @Test func `damage on the disk is found and mended`() async throws {
    let bytes = Array("input".utf8)
    try await with([bytes]) { fetcher, folder, server throws in
      _ = try await job(fetcher, folder, [input(bytes)])
      try Data("inpux".utf8).write(to: URL(filePath: folder.path + "/cache/" + SHA256.hash(bytes).hex))
      #expect(try await job(fetcher, folder, [input(bytes)]) == [Data(bytes)])
      #expect(server.requests.count == 2)
    }
  }

  @Test func `what was not used longest goes first, at the limit nothing`() async throws {
    let files = (0..<4).map { number in [UInt8](repeating: UInt8(number), count: 100) }
    try await with(files, limit: 300) { fetcher, folder, server throws in
      for file in files.prefix(3) { _ = try await job(fetcher, folder, [input(file)]) }
      #expect(try kept(folder).count == 3)
      _ = try await job(fetcher, folder, [input(files[0])])
      _ = try await job(fetcher, folder, [input(files[3])])
      #expect(try kept(folder) == [files[0], files[2], files[3]].map { SHA256.hash($0).hex }.sorted())
      #expect(server.requests.count == 4)
    }
  }

  @Test func `what is larger than the cache passes through`() async throws {
    let bytes = [UInt8](repeating: 7, count: 101)
    try await with([bytes], limit: 100) { fetcher, folder, _ in
      #expect(try await job(fetcher, folder, [input(bytes)]) == [Data(bytes)])
      _ = try await job(fetcher, folder, [input(bytes)])
      #expect(try kept(folder).count <= 1)
    }
  }

  @Test func `a part of an earlier miner is gone on with, a damaged one is not`() async throws {
    let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    for isDamaged in [false, true] {
      let folder = try TemporaryFolder()
      let part = folder.path + "/cache/" + SHA256.hash(bytes).hex + ".part"
      try FileManager.default.createDirectory(atPath: folder.path + "/cache", withIntermediateDirectories: true)
      try Data(isDamaged ? [UInt8](repeating: 0, count: 60_000) : Array(bytes.prefix(60_000)))
        .write(to: URL(filePath: part))
      try await with([bytes], folder: folder) { fetcher, folder, server throws in
        #expect(try await job(fetcher, folder, [input(bytes)]) == [Data(bytes)])
        #expect(server.requests.map { $0.headers["range"] } == ["bytes=60000-"] + (isDamaged ? [nil] : []))
        #expect(try kept(folder) == [SHA256.hash(bytes).hex])
      }
    }
  }

  @Test func `a blob that is not there is told to all who wait`() async throws {
    try await with([]) { fetcher, folder, _ in
      await withTaskGroup(of: Bool.self) { group in
        for _ in 0..<4 {
          group.addTask {
            do {
              _ = try await job(fetcher, folder, [input([1])])
              return false
            } catch let error as InputFailure {
              return error.error.code == .inputUnavailable
            } catch {
              return false
            }
          }
        }
        for await isTold in group { #expect(isTold) }
      }
    }
  }
}
