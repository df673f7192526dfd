import Testing
import WebSocket

@testable import Coordinator

struct HostPolicyTests {
  private func policy(_ host: String, allowed: [String] = [], url: String? = nil) -> HostPolicy {
    var configuration = CoordinatorConfiguration()
    configuration.host = host
    configuration.allowedHosts = allowed
    configuration.publicURL = url
    return HostPolicy(configuration)
  }

  @Test(arguments: ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "127.8.8.8"])
  func `loopback names reach a loopback coordinator`(host: String) { #expect(policy("127.0.0.1").allows(host)) }

  @Test(arguments: [
    nil, "", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.5:8000", "evil.localhost.",
    "[fe80::1]:8000", "[::1]evil.example", "[::1].evil.example", "[::1", "::1", "localhost:80:80", "localhost:evil",
    "127.0.0.1:8000@evil.example", "evil@localhost", "localhost, evil.example", "127.0.0.+1", "127.1", "2130706433",
    "0x7f.0.0.1", "127.0.0.1.", "localhost.", "localhost\u{200B}", "0.0.0.0", "[::]", "[::ffff:10.0.0.1]",
  ])
  func `foreign names do not`(host: String?) { #expect(!policy("127.0.0.1").allows(host)) }

  @Test func `an open coordinator is reached by any address but not by any name`() {
    #expect(policy("0.0.0.0").allows("192.168.1.5:8000"))
    #expect(!policy("0.0.0.0").allows("evil.example"))
    #expect(policy("0.0.0.0", allowed: ["market.example"]).allows("Market.Example:443"))
    #expect(policy("0.0.0.0", url: "https://market.example/").allows("market.example"))
  }

  @Test func `the public address is an origin`() {
    var configuration = CoordinatorConfiguration()
    configuration.publicURL = "https://market.example"
    let origins = HostPolicy.origins(configuration)
    #expect(origins.allows(origin: "https://market.example", host: "10.0.0.1:8000"))
    #expect(!origins.allows(origin: "https://market.example.evil", host: "10.0.0.1:8000"))
    #expect(!origins.allows(origin: "null", host: "10.0.0.1:8000"))
    #expect(origins.allows(origin: "http://10.0.0.1:8000", host: "10.0.0.1:8000"))
    #expect(!origins.allows(origin: "http://10.0.0.1:9000", host: "10.0.0.1:8000"))
  }
}

struct FeedURITests {
  @Test func `resume needs a number, the epoch may be left out`() throws {
    #expect(try FeedURI("/v1/jobs/ws").resume(currentEpoch: "e") == nil)
    #expect(try FeedURI("/v1/jobs/ws?after=7").resume(currentEpoch: "e") == FeedResume(epoch: "e", after: 7))
    #expect(try FeedURI("/v1/jobs/ws?epoch=x&after=0").resume(currentEpoch: "e") == FeedResume(epoch: "x", after: 0))
    #expect(throws: (any Error).self) { try FeedURI("/v1/jobs/ws?after=-1").resume(currentEpoch: "e") }
    #expect(throws: (any Error).self) { try FeedURI("/v1/jobs/ws?after=x").resume(currentEpoch: "e") }
  }

  @Test func `a key in the address is refused`() {
    #expect(throws: (any Error).self) { try FeedURI("/v1/jobs/ws?api_key=ak_1").resume(currentEpoch: "e") }
  }

  @Test func `the path is taken apart`() {
    #expect(FeedURI("/v1/jobs/job_1/ws?after=1").path == ["v1", "jobs", "job_1", "ws"])
  }
}
