import NIOCore
import NIOPosix
import Testing

@testable import Coordinator

@Suite struct ListenProbeTests {
  private static func configuration(_ host: String, _ port: Int) -> CoordinatorConfiguration {
    var configuration = CoordinatorConfiguration()
    (configuration.host, configuration.port) = (host, port)
    return configuration
  }

  @Test func aPortThatIsListenedOn() async throws {
    let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1).bind(host: "127.0.0.1", port: 0).get()
    let port = try #require(listener.localAddress?.port)
    let taken = Self.configuration("127.0.0.1", port)
    let error = #expect(throws: StartError.self) { try ListenProbe.check(taken) }
    #expect(error?.isConflict == true)
    #expect(error?.description == "127.0.0.1 port \(port) is in use by another program")
    try await listener.close()
    // Twice: the look leaves the port free.
    try ListenProbe.check(taken)
    try ListenProbe.check(taken)
  }

  @Test func addressesThatAreNone() {
    for (host, words) in [("192.0.2.1", "is not an address of this machine"), ("x.invalid", "is no address")] {
      let error = #expect(throws: StartError.self) { try ListenProbe.check(Self.configuration(host, 0)) }
      #expect(error?.isConflict == false)
      #expect(error?.description.contains(words) == true)
    }
  }
}
