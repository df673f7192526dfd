import NIOCore
import NIOHTTP1

/// The head of an answer, and its body to come.
struct ReceivedAnswer: Sendable {
  typealias Body = NIOThrowingAsyncSequenceProducer<
    ByteBuffer, any Error, NIOAsyncSequenceProducerBackPressureStrategies.HighLowWatermark, BodyReader
  >

  let head: HTTPResponseHead
  let body: Body
}

/// Tells the connection how its answer's body is being read.
struct BodyReader: NIOAsyncSequenceProducerDelegate {
  let handler: NIOLoopBound<ExchangeHandler>
  let eventLoop: any EventLoop
  /// The exchange it belongs to.
  let number: Int

  func produceMore() { eventLoop.execute { handler.value.resume(number) } }
  func didTerminate() { eventLoop.execute { handler.value.readerLeft(number) } }
}

/// Carries the exchanges of one connection, one after the other. Everything happens on its event loop.
///
/// The body of an answer is read from the socket only as fast as it is taken.
final class ExchangeHandler: ChannelDuplexHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundIn = HTTPClientRequestPart
  typealias OutboundOut = HTTPClientRequestPart

  /// Pieces of a body that wait for their reader: reading stops at the higher number and goes on at the lower.
  private static let waitingPieces = (low: 2, high: 8)
  /// What a slow line takes well within ``ClientConfiguration/silenceTimeout``.
  private static let sliceBytes = 64 << 10

  private var state = ExchangeState()
  private var number = 0
  private var context: ChannelHandlerContext?
  private var answer: EventLoopPromise<ReceivedAnswer>?
  private var source: ReceivedAnswer.Body.Source?
  private var isHeldBack = false
  private var wantsRead = false
  private var piece: EventLoopPromise<Bool>?
  private var deadline: Scheduled<Void>?
  private let silence: SilenceTimer
  /// Told once for each exchange that ended, and when an idle connection closes: whether another may follow.
  private let ended: @Sendable (_ reusable: Bool) -> Void

  init(silenceTimeout: TimeAmount, ended: @escaping @Sendable (Bool) -> Void) {
    silence = SilenceTimer(limit: silenceTimeout)
    self.ended = ended
  }

  // MARK: What the client asks for

  /// Sends a request, or its head when its body is a stream; `answer` is kept with the head of its answer, or fails.
  func begin(
    _ head: HTTPRequestHead, body: RequestBody, deadline limit: NIODeadline, answer: EventLoopPromise<ReceivedAnswer>
  ) {
    guard let context, context.channel.isActive, state.begin() else {
      answer.fail(ConnectionFailure.notSent)
      return
    }
    number += 1
    self.answer = answer
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    if limit < .distantFuture {
      deadline = context.eventLoop.scheduleTask(deadline: limit) { bound.value.abort(ConnectionFailure.deadline) }
    }
    silence.start(on: context.eventLoop) { bound.value.abort(ConnectionFailure.silence) }
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if case .bytes(let buffer) = body { write(buffer, context) }
    if case .stream = body { context.flush() } else { finish() }
  }

  /// Sends a piece of the request's body. `promise` is kept when the socket has taken it, with whether more is wanted: no
  /// longer when the answer is here or the connection broke.
  func write(_ buffer: ByteBuffer, promise: EventLoopPromise<Bool>) {
    guard let context, state.wantsBody else { return promise.succeed(false) }
    piece = promise
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    write(buffer, context).whenComplete { result in
      // A write that fails says less than what is read next: an early answer, or the end of the connection.
      if case .success = result { promise.succeed(bound.value.state.wantsBody) } else { promise.succeed(false) }
    }
    context.flush()
  }

  /// Writes slice by slice: each that the socket takes is a sign of life. The future is the last one's.
  @discardableResult
  private func write(_ buffer: ByteBuffer, _ context: ChannelHandlerContext) -> EventLoopFuture<Void> {
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    var rest = buffer
    var last = context.eventLoop.makeSucceededVoidFuture()
    while let slice = rest.readSlice(length: min(Self.sliceBytes, rest.readableBytes)), slice.readableBytes > 0 {
      last = context.write(wrapOutboundOut(.body(.byteBuffer(slice)))).map { bound.value.silence.touch() }
    }
    return last
  }

  /// Ends the request. A whole one is marked as sent before its answer can come.
  func finish() {
    guard let context, state.wantsBody else { return }
    state.requestSent()
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }

  /// Gives up the exchange, if there is one, and the connection.
  func abort(_ error: any Error) {
    fail(error)
    context?.close(promise: nil)
  }

  /// Gives up the exchange that `answer` was promised to, unless its answer has begun.
  func abort(_ error: any Error, awaiting answer: EventLoopFuture<ReceivedAnswer>) {
    if self.answer?.futureResult === answer { abort(error) }
  }

  /// Gives up the exchange with this number, unless it has ended.
  func readerLeft(_ number: Int) {
    if number == self.number, source != nil { abort(CancellationError()) }
  }

  func resume(_ number: Int) {
    guard number == self.number, isHeldBack else { return }
    isHeldBack = false
    silence.touch()
    if wantsRead { context?.read() }
    wantsRead = false
  }

  // MARK: The channel

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func read(context: ChannelHandlerContext) {
    if isHeldBack { wantsRead = true } else { context.read() }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    silence.touch()
    let part = unwrapInboundIn(data)
    switch (state.received(part), part) {
    case (.head, .head(let head)): deliver(head, context)
    case (.body, .body(let buffer)):
      if case .stopProducing = source?.yield(buffer) {
        isHeldBack = true
        silence.pause()
      }
    case (.end(let reuse), _): complete(reuse: reuse, context)
    default:
      fail(ConnectionFailure.malformed("something that was not asked for"))
      context.close(promise: nil)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch error {
    case HTTPParserError.invalidEOFState: fail(closedEarly)
    case is HTTPParserError: fail(ConnectionFailure.malformed("\(error)"))
    case is IOError: fail(isUnanswered ? ConnectionFailure.unanswered : error)
    default: fail(error)
    }
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    fail(closedEarly)
    context.fireChannelInactive()
  }

  private var closedEarly: ConnectionFailure { isUnanswered ? .unanswered : .closedEarly }

  /// Nothing came on a connection that had served before: the peer may have closed it before it had the request.
  private var isUnanswered: Bool { number > 1 && answer != nil }

  private func deliver(_ head: HTTPResponseHead, _ context: ChannelHandlerContext) {
    let reader = BodyReader(
      handler: NIOLoopBound(self, eventLoop: context.eventLoop), eventLoop: context.eventLoop, number: number)
    let made = ReceivedAnswer.Body.makeSequence(
      elementType: ByteBuffer.self, failureType: (any Error).self,
      backPressureStrategy: .init(lowWatermark: Self.waitingPieces.low, highWatermark: Self.waitingPieces.high),
      finishOnDeinit: false, delegate: reader)
    source = made.source
    answer?.succeed(ReceivedAnswer(head: head, body: made.sequence))
    answer = nil
    piece?.succeed(false)
    piece = nil
  }

  private func complete(reuse: Bool, _ context: ChannelHandlerContext) {
    settle()
    let source = self.source
    self.source = nil
    if !reuse { context.close(promise: nil) }
    // Before the reader knows, so that its next call finds the connection.
    ended(reuse)
    source?.finish()
  }

  private func fail(_ error: any Error) {
    guard state.phase != .closed else { return }
    state.close()
    settle()
    answer?.fail(error)
    answer = nil
    source?.finish(error)
    source = nil
    ended(false)
  }

  private func settle() {
    deadline?.cancel()
    deadline = nil
    silence.stop()
    isHeldBack = false
    piece?.succeed(false)
    piece = nil
  }
}
