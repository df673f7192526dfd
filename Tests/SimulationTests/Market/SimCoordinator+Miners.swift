import Clocks
import Cryptography
import Marketplace
import Store
import StoreInMemory
import Wire

@testable import Coordinator

/// One miner's connection at the coordinator. Messages are taken one after the other; only commits are waited for
/// beside, as ``MinerSession`` does.
final class SimSession: @unchecked Sendable {
  let link: MinerLine
  var miner: MinerID?
  var connection = 0
  var isGreeting = false
  var inbox: [MinerMessage] = []

  init(_ link: MinerLine) { self.link = link }

  func send(_ command: MinerCommand) { link.sendDown(command) }
}

extension SimCoordinator {
  /// A miner's connection was opened.
  func accept(_ link: MinerLine) {
    guard host.isUp else { return link.closeAbove() }
    let session = SimSession(link)
    sessions.append(session)
    link.onReceiveAbove { message in
      self.host.after(0) {
        session.inbox.append(message)
        self.serve(session)
      }
    }
    link.closedAbove = { self.host.after(0) { self.left(session) } }
  }

  private func left(_ session: SimSession) {
    sessions.removeAll { $0 === session }
    guard let miner = session.miner else { return }
    if dispatch.disconnect(miner, connection: session.connection) { links[miner] = nil }
  }

  private func serve(_ session: SimSession) {
    while !session.isGreeting, !session.inbox.isEmpty {
      let message = session.inbox.removeFirst()
      if let miner = session.miner {
        take(message, from: miner, session)
      } else if case .hello(let hello) = message {
        greet(hello, session)
      } else {
        return session.link.closeAbove()
      }
    }
  }

  // MARK: Greeting

  private func greet(_ hello: MinerHello, _ session: SimSession) {
    session.isGreeting = true
    let registration = Registration(
      account: account.id, instanceHash: SHA256.hash(hello.instance.utf8).hex, name: hello.name,
      version: hello.version, offer: hello.offer, publicKey: hello.publicKey, newID: world.newID(),
      now: host.clock.now)
    write("hello of \(hello.name)") {
      try registration.run(in: $0)
    } then: { [self] result in
      guard case .success(let (record, held)) = result else { return session.link.closeAbove() }
      // Its miner has gone, and may have greeted anew.
      guard session.link.isOpenAbove else { return }
      let answer = dispatch.connect(record, named: hello.named, held: held, at: monotonic)
      session.miner = record.id
      session.connection = answer.connection
      links.updateValue(session, forKey: record.id)?.link.closeAbove()
      giveBack(answer.unnamed, hello, session) { [self] in
        welcome(record.id, hello, answer.resumed, session)
        session.isGreeting = false
        serve(session)
      }
    }
  }

  private func giveBack(
    _ unnamed: [TryRecord], _ hello: MinerHello, _ session: SimSession, then: @escaping () -> Void
  ) {
    guard let attempt = unnamed.first else { return then() }
    let next: (Bool) -> Void = { [self] isDone in
      guard isDone else {
        if dispatch.disconnect(attempt.miner, connection: session.connection) { links[attempt.miner] = nil }
        return session.link.closeAbove()
      }
      giveBack(Array(unnamed.dropFirst()), hello, session, then: then)
    }
    switch DispatchState.GiveBack(attempt, isFresh: hello.isFresh, at: monotonic) {
    case .lose(let lease, let reason): lose(lease, reason, then: next)
    case .refuse(let lease, let reason): refuse(lease, reason, then: next)
    }
  }

  private func welcome(
    _ miner: MinerID, _ hello: MinerHello, _ resumed: [LeaseTable.Lease], _ session: SimSession
  ) {
    let leases = resumed.compactMap { lease in
      lease.token.map {
        ResumedLease(
          lease: $0, leaseMilliseconds: faults.leaseTerm.milliseconds, stdoutOffset: 0, stderrOffset: 0)
      }
    }
    let own = Set(leases.map(\.lease))
    session.send(
      .welcome(
        MinerWelcome(
          miner: miner, heartbeat: configuration.heartbeat, resumed: leases,
          lost: hello.named.filter { !own.contains($0) })))
    for command in dispatch.pendingCancels(of: resumed) { session.send(command) }
    for command in dispatch.welcome(miner, connection: session.connection) { session.send(command) }
    wake()
  }

  // MARK: Messages

  private func take(_ message: MinerMessage, from miner: MinerID, _ session: SimSession) {
    var (replies, work) = dispatch.receive(message, from: miner, at: monotonic, wall: host.clock.now)
    if sabotage == .staleTokensAreObeyed, work?.isRefusal != false, let old = obeyed(message) {
      (replies, work) = ([], old)
    }
    for reply in replies { session.send(reply) }
    switch work {
    case .start(let lease):
      let operation = StartTry(leaseHash: lease.hash, miner: miner, now: host.clock.now)
      write("start of \(lease.job)") {
        try operation.run(in: $0)
      } then: { [self] result in
        guard case .success(let job) = result, !job.state.isTerminal else { return }
        dispatch.started(lease.hash, timeout: job.specification.timeout, at: monotonic)
      }
    case .refuse(let lease, let token, let reason):
      refuse(lease, reason) { isDone in
        session.send(
          isDone
            ? .settled(lease: token, accepted: true) : .error(code: "not_settled", message: "again", lease: token))
      }
    case .end(let lease, let report): end(report, lease, session)
    case .refuseStart, .refuseReport: checks.refusedTokens += 1
    case .progress, nil: break
    }
  }

  private func end(_ report: TryReport, _ lease: LeaseTable.Lease, _ session: SimSession) {
    let operation = ReportedEnd(
      report: report, lease: lease, progress: nil, backoff: retryDelay(lease), fee: configuration.fee,
      now: host.clock.now, resultLimit: configuration.inlineResultLimit)
    write("end of \(lease.job)") {
      try operation.run(in: $0)
    } then: { [self] result in
      switch result {
      case .success:
        settle(lease)
        session.send(.settled(lease: report.lease, accepted: true))
      case .failure(MarketError.staleLease):
        checks.refusedTokens += 1
        session.send(.settled(lease: report.lease, accepted: false))
      case .failure:
        session.send(.error(code: "not_settled", message: "again", lease: report.lease))
      }
    }
  }

  func lose(_ lease: LeaseTable.Lease, _ reason: String, then: @escaping (Bool) -> Void) {
    let operation = EndTry(
      losing: lease, reason, backoff: retryDelay(lease), fee: configuration.fee, now: host.clock.now)
    endOwn(operation, lease, "loss of \(lease.job)", then)
  }

  func timeOut(_ lease: LeaseTable.Lease, then: @escaping (Bool) -> Void) {
    guard let job = try? store.look({ try $0.job(lease.job) }) else { return then(false) }
    let operation = EndTry(
      timingOut: lease, of: job, backoff: retryDelay(lease), fee: configuration.fee, now: host.clock.now)
    endOwn(operation, lease, "time-out of \(lease.job)", then)
  }

  private func refuse(_ lease: LeaseTable.Lease, _ reason: String, then: @escaping (Bool) -> Void) {
    let operation = EndTry(refusing: lease, reason, fee: configuration.fee, now: host.clock.now)
    endOwn(operation, lease, "refusal of \(lease.job)", then)
  }

  private func endOwn(_ operation: EndTry, _ lease: LeaseTable.Lease, _ name: String, _ then: @escaping (Bool) -> Void)
  {
    write(name) {
      try operation.run(in: $0)
    } then: { [self] result in
      switch result {
      case .success, .failure(MarketError.staleLease):
        settle(lease)
        then(true)
      case .failure: then(false)
      }
    }
  }

  private func settle(_ lease: LeaseTable.Lease) {
    dispatch.release(lease.hash)
    wake()
  }

  private func retryDelay(_ lease: LeaseTable.Lease) -> Seconds {
    Backoff.betweenTries.delay(attempt: lease.tryNumber - 1, using: &world.random)
  }

  /// What a coordinator without a fence would do.
  private func obeyed(_ message: MinerMessage) -> MinerWork? {
    switch message {
    case .started(let token): remembered[token].map { .start($0) }
    case .done(let report), .failed(let report): remembered[report.lease].map { .end($0, report) }
    default: nil
    }
  }
}

extension MinerWork {
  /// Nothing is to be done but to keep evidence.
  fileprivate var isRefusal: Bool {
    switch self {
    case .refuseStart, .refuseReport: true
    case .start, .progress, .refuse, .end: false
    }
  }
}
