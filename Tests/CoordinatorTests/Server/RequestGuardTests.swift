import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Testing

@testable import Coordinator

/// What happens to a body depends on whose it is: that of the answered request, or of the next one.
@Suite struct RequestGuardTests {
  private let channel = EmbeddedChannel(handler: RequestGuard(drainLimit: 100, drainTimeout: .seconds(5)))

  init() throws { try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait() }

  private func receive(_ part: HTTPRequestPart) throws { try channel.writeInbound(part) }

  private func head(_ method: HTTPRequest.Method = .post, _ fields: HTTPFields = [:]) -> HTTPRequestPart {
    .head(HTTPRequest(method: method, scheme: nil, authority: "localhost", path: "/", headerFields: fields))
  }

  private func answer(_ status: HTTPResponse.Status = .ok) throws {
    try channel.writeOutbound(HTTPResponsePart.head(HTTPResponse(status: status)))
  }

  private func endAnswer() throws { try channel.writeOutbound(HTTPResponsePart.end(nil)) }

  private func inbound() throws -> [HTTPRequestPart] {
    var parts: [HTTPRequestPart] = []
    while let part = try channel.readInbound(as: HTTPRequestPart.self) { parts.append(part) }
    return parts
  }

  private static let piece = HTTPRequestPart.body(ByteBuffer(string: "{}"))

  /// The client has the answer's last byte before the server has noted its end.
  @Test func theNextRequestKeepsItsBody() throws {
    try receive(head())
    try receive(.end(nil))
    try answer()
    try receive(head())
    try endAnswer()
    try receive(Self.piece)
    try receive(.end(nil))
    #expect(try inbound() == [head(), .end(nil), head(), Self.piece, .end(nil)])
    _ = try channel.finish()
  }

  @Test func theRestOfAnAnsweredRequestIsThrownAway() throws {
    try receive(head())
    try answer(.contentTooLarge)
    try endAnswer()
    try receive(Self.piece)
    try receive(.end(nil))
    try receive(head(.get))
    try receive(.end(nil))
    #expect(try inbound() == [head(), .end(nil), head(.get), .end(nil)])
    #expect(channel.isActive)
    _ = try channel.finish()
  }

  @Test(arguments: [("close", true), ("TE, Close", true), ("keep-alive", false), ("closed", false)])
  func whoAskedForTheCloseIsToldOfIt(field: String, isTold: Bool) throws {
    try receive(head(.get, [.connection: field]))
    try receive(.end(nil))
    try answer()
    guard case .head(let head)? = try channel.readOutbound(as: HTTPResponsePart.self) else {
      Issue.record("no head")
      return
    }
    #expect(head.headerFields[.connection] == (isTold ? "close" : nil))
    _ = try? channel.finish()
  }

  @Test func aRefusedBodyIsReadUpToTheLimit() throws {
    try receive(head())
    try answer(.contentTooLarge)
    try endAnswer()
    try receive(.body(ByteBuffer(repeating: 0, count: 100)))
    #expect(channel.isActive)
    try receive(Self.piece)
    #expect(!channel.isActive)
  }

  @Test func aBodyThatNeverComesIsWaitedForAWhile() throws {
    try receive(head())
    try answer(.unauthorized)
    try endAnswer()
    channel.embeddedEventLoop.advanceTime(by: .seconds(4))
    #expect(channel.isActive)
    channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(!channel.isActive)
  }
}
