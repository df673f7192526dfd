import NIOCore
import NIOHTTP1
import Testing

@testable import MarketplaceClient

/// Every phase of an exchange with every part of an answer.
@Suite struct ExchangeStateTests {
  private static func head(closes: Bool) -> HTTPClientResponsePart {
    .head(HTTPResponseHead(version: .http1_1, status: .ok, headers: closes ? ["Connection": "close"] : [:]))
  }
  private static let body = HTTPClientResponsePart.body(ByteBuffer(string: "x"))
  private static let end = HTTPClientResponsePart.end(nil)

  private func exchanging(sent: Bool, answered: Bool, closes: Bool = false) -> ExchangeState {
    var state = ExchangeState()
    _ = state.begin()
    if sent { state.requestSent() }
    if answered { _ = state.received(Self.head(closes: closes)) }
    return state
  }

  @Test func idleAndClosedTakeNothing() {
    for closed in [false, true] {
      for part in [Self.head(closes: false), Self.body, Self.end] {
        var state = ExchangeState()
        if closed { state.close() }
        let before = state.phase
        let step = state.received(part)
        #expect(step == .violation)
        #expect(state.phase == before)
        #expect(!state.wantsBody)
      }
    }
    var closed = ExchangeState()
    closed.close()
    let begins = closed.begin()
    #expect(!begins)
  }

  @Test(arguments: [false, true], [false, true]) func eachPartInEachPhase(sent: Bool, answered: Bool) {
    let state = exchanging(sent: sent, answered: answered)
    #expect(state.phase == .exchanging(requestIsSent: sent, answered: answered))
    #expect(state.wantsBody == (!sent && !answered))
    for (part, number) in [(Self.head(closes: false), 0), (Self.body, 1), (Self.end, 2)] {
      var copy = state
      let step = copy.received(part)
      switch (answered, number) {
      case (false, 0): #expect(step == .head)
      case (true, 1): #expect(step == .body)
      case (true, 2): #expect(step == .end(reuse: sent))
      default: #expect(step == .violation)
      }
      if step == .end(reuse: sent) { #expect(copy.phase == (sent ? .idle : .closed)) }
    }
    var again = state
    let begins = again.begin()
    #expect(!begins)
  }

  @Test func anAnswerThatClosesIsTheLast() {
    var state = exchanging(sent: true, answered: true, closes: true)
    let step = state.received(Self.end)
    #expect(step == .end(reuse: false))
    #expect(state.phase == .closed)
  }

  @Test func oneAfterTheOther() {
    var state = ExchangeState()
    for _ in 0..<3 {
      let begins = state.begin()
      state.requestSent()
      let steps = [Self.head(closes: false), Self.body, Self.body, Self.end].map { state.received($0) }
      #expect(begins)
      #expect(steps == [.head, .body, .body, .end(reuse: true)])
    }
  }
}
