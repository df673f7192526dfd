import Clocks
import Cryptography
import JSON
import Logging
import Marketplace
import NIOCore
import Store
import WebSocket
import WebSocketTransport
import Wire

/// One miner's connection: reads what it says in order, and answers.
///
/// Messages are taken one by one; only waiting for a commit is done beside, so that many results of one miner share
/// commits. Which message is legal when stands in docs/protocol.md.
final class MinerSession: MinerLink {
  private let market: Market
  private let identity: Identity
  private let stream: WebSocketStream
  private let log: Logger

  /// Reports that wait for their commit at once; beyond, reading stops.
  private static let pendingReports = 512
  /// What it said is not legal; it must not come back as it is.
  private static let closeUnexpected = CloseCode(4500)
  /// Its own newer connection took its place.
  private static let closeReplaced = CloseCode(4510)
  /// Its key was revoked.
  private static let closeUnauthorized = CloseCode(4501)
  /// An administrator removed it.
  private static let closeRemoved = CloseCode(4511)

  init(market: Market, identity: Identity, stream: WebSocketStream) {
    self.market = market
    self.identity = identity
    self.stream = stream
    log = market.log
  }

  func send(_ command: MinerCommand) {
    stream.connection?.send(text: ByteBuffer(bytes: command.json.encoded))
  }

  func replace() { stream.close(code: Self.closeReplaced, reason: "another connection of this miner") }

  var keyHash: String { identity.keyHash }

  func dismiss(_ reason: MinerDismissal) {
    switch reason {
    case .keyRevoked: stream.close(code: Self.closeUnauthorized, reason: "the API key was revoked")
    case .removed: stream.close(code: Self.closeRemoved, reason: "the miner was removed")
    }
  }

  /// Serves the connection until it ends.
  func run() async {
    do {
      var messages = stream.makeAsyncIterator()
      guard let first = await messages.next() else { return }
      guard case .text(let text) = first, case .hello(let hello) = try message(text) else {
        send(.error(code: "hello_expected", message: "the first message must be hello", lease: nil))
        return stream.close(code: Self.closeUnexpected, reason: "hello expected")
      }
      let (miner, connection) = try await greet(hello)
      log.info("miner connected", metadata: ["miner": "\(miner)", "name": "\(hello.name)"])
      await serve(miner, &messages)
      market.dispatcher.disconnect(miner, connection: connection)
      await noteLastSeen(miner)
      log.info("miner disconnected", metadata: ["miner": "\(miner)"])
    } catch let error as MalformedMessage {
      send(.error(code: "malformed", message: error.description, lease: nil))
      stream.close(code: Self.closeUnexpected, reason: "malformed hello")
    } catch is MinerGone {
      log.info("a miner went before its greeting was answered")
    } catch {
      log.warning("miner channel failed", metadata: ["error": "\(error)"])
      stream.close(code: .internalError, reason: "the coordinator failed")
    }
  }

  /// Best effort: while the coordinator stops, the store takes no more.
  private func noteLastSeen(_ miner: MinerID) async {
    let now = market.clock.now
    try? await market.store.write { market in
      guard var record = try market.miner(miner) else { return }
      record.lastSeenAt = now
      try market.save(record)
    }
  }

  private func message(_ text: String) throws -> MinerMessage {
    do {
      return try MinerMessage(json: try JSONParser.parse(text))
    } catch let error as JSONSyntaxError {
      throw MalformedMessage("not JSON: \(error)")
    }
  }
}

/// The connection ended before the greeting was answered.
private struct MinerGone: Error {}

// MARK: - Greeting

extension MinerSession {
  private func greet(_ hello: MinerHello) async throws -> (MinerID, Int) {
    let registration = Registration(
      account: identity.account, instanceHash: SHA256.hash(hello.instance.utf8).hex, name: hello.name,
      version: hello.version, offer: hello.offer, publicKey: hello.publicKey,
      newID: market.newID(MinerKind.self), now: market.clock.now)
    let (record, held) = try await market.store.write { try registration.run(in: $0) }
    // A greeting that lay unread while this process stood still: the miner has gone, and may have greeted anew and got
    // work that this one does not name.
    guard stream.closeReason == nil else { throw MinerGone() }
    let named = hello.named
    let answer = market.dispatcher.connect(record, link: self, named: named, held: held)
    do {
      for attempt in answer.unnamed { try await giveBack(attempt, isFresh: hello.isFresh) }
      try await welcome(record.id, named: named, resumed: answer.resumed)
    } catch {
      market.dispatcher.disconnect(record.id, connection: answer.connection)
      throw error
    }
    market.dispatcher.welcomed(record.id, connection: answer.connection)
    if record.isDraining { send(.drain) }
    // It may have been revoked between its check and here, when no list had this connection.
    if !market.authenticator.isValid(keyHash: keyHash) { dismiss(.keyRevoked) }
    return (record.id, answer.connection)
  }

  private func welcome(_ miner: MinerID, named: [String], resumed leases: [LeaseTable.Lease]) async throws {
    var resumed: [ResumedLease] = []
    for lease in leases {
      guard let token = lease.token else { continue }
      let lengths = try await market.logs.lengths(of: lease)
      resumed.append(
        ResumedLease(
          lease: token, leaseMilliseconds: market.configuration.leaseTerm.milliseconds,
          stdoutOffset: lengths[.stdout] ?? 0, stderrOffset: lengths[.stderr] ?? 0))
    }
    let own = Set(resumed.map(\.lease))
    send(
      .welcome(
        MinerWelcome(
          miner: miner, heartbeat: market.configuration.heartbeat, resumed: resumed,
          lost: named.filter { !own.contains($0) })))
    for command in market.dispatcher.pendingCancels(of: leases) { send(command) }
    try await meetAgain(leases)
  }

  /// Running jobs of a miner that is back report progress again, also after a restart of ours.
  private func meetAgain(_ leases: [LeaseTable.Lease]) async throws {
    let ids = leases.map(\.job).filter { !market.progress.knows($0) }
    guard !ids.isEmpty else { return }
    for job in try await market.store.read({ store in try ids.compactMap { try store.job($0) } }) {
      if job.state == .running || job.state == .canceling { publish(market.progress.begin(job, at: market.clock.now)) }
    }
  }

  private func publish(_ change: ProgressBoard.Change?) {
    guard let change else { return }
    market.hub.publish(progress: change.message, account: change.account)
  }

  private func giveBack(_ attempt: TryRecord, isFresh: Bool) async throws {
    switch DispatchState.GiveBack(attempt, isFresh: isFresh, at: market.clock.monotonic) {
    case .lose(let lease, let reason): try await market.lose(lease, reason: reason)
    case .refuse(let lease, let reason): try await market.refuse(lease, reason: reason)
    }
  }
}

// MARK: - Messages

extension MinerSession {
  private func serve(_ miner: MinerID, _ messages: inout WebSocketStream.AsyncIterator) async {
    await withTaskGroup(of: Void.self) { group in
      var pending = 0
      while let next = await messages.next() {
        guard let work = await handle(next, from: miner) else { continue }
        if pending >= Self.pendingReports {
          await group.next()
          pending -= 1
        }
        pending += 1
        group.addTask { await work() }
      }
    }
  }

  /// Does what must be done in order; returns what may be done beside.
  private func handle(_ next: WebSocketMessage, from miner: MinerID) async -> (@Sendable () async -> Void)? {
    switch next {
    case .binary(let buffer):
      await append(buffer, from: miner)
      return nil
    case .text(let text):
      do {
        return try await handle(message(text), from: miner)
      } catch let error as MalformedMessage {
        send(.error(code: "malformed", message: error.description, lease: nil))
      } catch {
        log.error("miner message failed", metadata: ["error": "\(error)"])
        send(.error(code: "failed", message: "the coordinator could not do it; try again", lease: nil))
      }
      return nil
    }
  }

  private func handle(_ message: MinerMessage, from miner: MinerID) async throws -> (@Sendable () async -> Void)? {
    let (replies, work) = market.dispatcher.receive(message, from: miner)
    for reply in replies { send(reply) }
    switch work {
    case .progress(let lease, let percent, let text):
      let report = ProgressBoard.Report(tryNumber: lease.tryNumber, percent: percent, message: text)
      publish(market.progress.report(lease.job, report, at: market.clock.now))
    case .start(let lease): return { [self] in await start(lease) }
    case .refuse(let lease, let token, let reason):
      return { [self] in await settle(token) { try await self.market.refuse(lease, reason: reason) } }
    case .end(let lease, let report): return { [self] in await end(report, lease) }
    case .refuseStart(let token):
      return { [self] in await market.noteRefused(.started, token: token, of: miner, said: message.json.canonical) }
    case .refuseReport(let report): return { [self] in await noteRefused(report, of: miner) }
    case nil: break
    }
    return nil
  }

  /// The live lease behind a token, when it is this miner's; otherwise the miner is told that it is lost.
  private func own(_ token: String, of miner: MinerID) -> LeaseTable.Lease? {
    guard let lease = market.dispatcher.lease(token: token), lease.miner == miner else {
      send(.leases(renewed: [:], lost: [token]))
      return nil
    }
    return lease
  }

  private func append(_ buffer: ByteBuffer, from miner: MinerID) async {
    guard let chunk = LogChunk(buffer.readableBytesView) else {
      return send(.error(code: "malformed", message: "not a log message", lease: nil))
    }
    guard let lease = own(chunk.lease, of: miner) else { return }
    do {
      switch try await market.logs.append(chunk, lease: lease) {
      case .appended(let length):
        send(.logAck(lease: chunk.lease, stream: chunk.stream, offset: length))
        market.hub.logGrew(job: lease.job, tryNumber: lease.tryNumber, stream: chunk.stream, length: length)
      case .duplicate(let length), .gap(let length):
        send(.logAck(lease: chunk.lease, stream: chunk.stream, offset: length))
      }
    } catch {
      // Not acknowledged: the miner keeps the bytes and sends them again.
      log.error("can't keep log bytes", metadata: ["job": "\(lease.job)", "error": "\(error)"])
      send(
        .error(code: "log_not_kept", message: "the log bytes could not be kept; send them again", lease: chunk.lease))
    }
  }

  private func start(_ lease: LeaseTable.Lease) async {
    do {
      publish(try await market.start(lease))
    } catch MarketError.staleLease {
      // Its end was faster.
    } catch {
      log.error("can't note a start", metadata: ["job": "\(lease.job)", "error": "\(error)"])
    }
  }

  private func end(_ report: TryReport, _ lease: LeaseTable.Lease) async {
    do {
      switch try await market.end(report, lease: lease) {
      case .settled: send(.settled(lease: report.lease, accepted: true))
      case .stale:
        send(.settled(lease: report.lease, accepted: false))
        await noteRefused(report, of: lease.miner)
      case .incomplete(let what, let logs):
        for (stream, offset) in logs { send(.logAck(lease: report.lease, stream: stream, offset: offset)) }
        send(.error(code: "incomplete", message: what, lease: report.lease))
      }
    } catch {
      log.error("can't end a try", metadata: ["job": "\(lease.job)", "error": "\(error)"])
      send(.error(code: "not_settled", message: "could not be made durable; report again", lease: report.lease))
    }
  }

  /// A late or foreign report is kept as evidence.
  private func noteRefused(_ report: TryReport, of miner: MinerID) async {
    var report = report
    // It differs each time that the same is said.
    report.endedAgo = nil
    let message: MinerMessage = report.error == nil ? .done(report) : .failed(report)
    await market.noteRefused(
      report.error == nil ? .result : .failure, token: report.lease, of: miner, said: message.json.canonical)
  }

  private func settle(_ token: String, _ body: @Sendable () async throws -> Void) async {
    do {
      try await body()
      send(.settled(lease: token, accepted: true))
    } catch {
      log.error("can't settle a try", metadata: ["error": "\(error)"])
      send(.error(code: "not_settled", message: "could not be made durable; say it again", lease: token))
    }
  }
}
