import Cryptography
import LoopbackServer
import Synchronization
import Testing

@testable import MarketplaceClient

@Suite struct PartMapTests {
  @Test(arguments: [(100, 0, 4), (100, 7, 4), (101, 0, 3), (1, 0, 4), (5, 5, 4), (0, 0, 4), (1 << 40, 1, 64)])
  func eachByteIsInOnePart(_ total: Int64, _ have: Int64, _ count: Int) {
    let map = PartMap(total: total, have: have, count: count)
    var next: Int64 = 0
    for part in map.parts {
      #expect(part.range.lowerBound == next && !part.range.isEmpty)
      next = part.range.upperBound
    }
    #expect(next == total && map.have == have && map.parts.count <= count + 1)
    if total > 0 { #expect(PartMap(text: map.text, total: total) == map) }
  }

  @Test func whatArrivedIsKept() {
    var map = PartMap(total: 100, have: 0, count: 2)
    map.advance(1, by: 50)
    #expect(map.have == 50 && !map.isPrefix && map.parts[1].next == nil && map.parts[0].next == 0)
    map.advance(0, by: 49)
    #expect(map.parts[0].next == 49)
    #expect(PartMap(text: map.text, total: 100) == map)
    map.advance(0, by: 1)
    #expect(map.isPrefix && map.have == 100)
  }

  @Test(arguments: [
    "", "aitbc-parts-v1 100\n", "aitbc-parts-v1 99\n0 100 0\n", "aitbc-parts-v1 100\n0 99 0\n",
    "aitbc-parts-v1 100\n0 100 101\n", "aitbc-parts-v1 100\n0 100 -1\n", "aitbc-parts-v1 100\n0 50 0\n51 100 0\n",
    "aitbc-parts-v1 100\n0 50 0\n49 100 0\n", "aitbc-parts-v1 100\n0 100 0", "aitbc-parts-v1 100\n0 100 x\n",
    "aitbc-parts-v1 100\n0 100 0\n100 100 0\n", "aitbc-parts-v1 100\n5 100 0\n",
  ])
  func otherTexts(_ text: String) { #expect(PartMap(text: text, total: 100) == nil) }
}

/// A file large enough to be fetched in parts.
@Suite struct PartedDownloadTests {
  static let content: [UInt8] = (0..<Int(ResumableDownload.partsFrom) + 5).map {
    UInt8(truncatingIfNeeded: $0 &* 7 >> 3)
  }
  static let digest = SHA256.hash(content)
  static let part = "f.\(digest.hex.prefix(16)).part"

  /// Serves ranges; `cut` says after how many bytes an answer to a range ends.
  static func serve(
    honoursRange: Bool = true, cut: @escaping @Sendable (String?) -> Int? = { _ in nil }
  ) -> LoopbackServer.Answer {
    { request in
      let headers = [("ETag", "\"\(digest.hex)\""), ("Repr-Digest", "sha-256=:\(digest.base64):")]
      if request.method == "HEAD" {
        return LoopbackAnswer(200, headers: headers + [("Content-Length", "\(content.count)")])
      }
      let range = request[header: "Range"]
      guard honoursRange, let range else {
        return LoopbackAnswer(200, bytes: content, headers: headers, cutAfter: cut(range))
      }
      let ends = range.dropFirst(6).split(separator: "-").compactMap { Int($0) }
      let end = ends.count == 2 ? ends[1] : content.count - 1
      return LoopbackAnswer(
        206, bytes: Array(content[ends[0]...end]),
        headers: headers + [("Content-Range", "bytes \(ends[0])-\(end)/\(content.count)")], cutAfter: cut(range))
    }
  }

  private func fetch(_ url: String, _ folder: String) async throws -> FileDigest {
    try await withClient(url) { try await $0.download("job_1").fetch(to: folder + "/f") }
  }

  @Test func severalAtOnce() async throws {
    try await TemporaryFolder.with { folder in
      try await LoopbackServer.with(Self.serve()) { server in
        let result = try await fetch(server.url, folder)
        #expect(result.sha256 == Self.digest)
        let ranges = server.requests.compactMap { $0[header: "Range"] }
        #expect(ranges.count == 4 && Set(ranges).count == 4)
        #expect(server.requests.filter { $0.method == "GET" }.allSatisfy { $0[header: "If-Range"] != nil })
        #expect(TemporaryFolder.names(in: folder) == ["f"])
      }
    }
  }

  @Test func aServerWithoutRangesIsAskedForTheWhole() async throws {
    try await TemporaryFolder.with { folder in
      try await LoopbackServer.with(Self.serve(honoursRange: false)) { server in
        let result = try await fetch(server.url, folder)
        #expect(result.sha256 == Self.digest)
        #expect(TemporaryFolder.names(in: folder) == ["f"])
      }
    }
  }

  /// Each part breaks for good; the next attempt asks only for what is not here.
  @Test func anotherAttemptGoesOn() async throws {
    try await TemporaryFolder.with { folder in
      let size = Int64(Self.content.count)
      let first = Mutex(0)
      try await LoopbackServer.with(
        Self.serve { _ in
          first.withLock {
            $0 += 1; return $0 <= 4 ? 1 << 20 : 0
          }
        }
      ) { server in
        await #expect(throws: ClientError.self) { try await fetch(server.url, folder) }
        #expect(TemporaryFolder.names(in: folder) == [Self.part, Self.part + ".map"])
      }
      let text = String(decoding: try TemporaryFolder.read(folder + "/" + Self.part + ".map"), as: UTF8.self)
      let map = try #require(PartMap(text: text, total: size))
      #expect(map.have > 0 && map.have <= 4 << 20 && !map.isPrefix)
      try await LoopbackServer.with(Self.serve()) { server in
        let result = try await fetch(server.url, folder)
        #expect(result.sha256 == Self.digest)
        let asked = server.requests.compactMap { $0[header: "Range"] }
        #expect(asked.count == map.parts.count { $0.next != nil })
        for part in map.parts {
          guard let next = part.next else { continue }
          #expect(asked.contains { $0.hasPrefix("bytes=\(next)-") })
        }
        #expect(TemporaryFolder.names(in: folder) == ["f"])
      }
    }
  }

  @Test func aDamagedRecordIsNotBelieved() async throws {
    try await TemporaryFolder.with { folder in
      try TemporaryFolder.write([UInt8](repeating: 1, count: 5000), to: folder + "/" + Self.part)
      let size = Int64(Self.content.count)
      var map = PartMap(total: size, have: 0, count: 2)
      map.advance(1, by: size / 2)
      try TemporaryFolder.write(Array(map.text.utf8), to: folder + "/" + Self.part + ".map")
      try await LoopbackServer.with(Self.serve()) { server in
        let result = try await fetch(server.url, folder)
        #expect(result.sha256 == Self.digest)
        #expect(TemporaryFolder.names(in: folder) == ["f"])
      }
    }
  }
}
