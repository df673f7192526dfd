import NIOCore
import WebSocket

extension WebSocketEndpoint {
  // MARK: Keepalive and deadlines

  func setDeadline(after time: TimeAmount) {
    resources.wheel.set(resources.eventLoop.now + time, for: self)
  }

  func deadlineReached(_ now: NIODeadline) -> NIODeadline? {
    switch stage {
    case .open: return keepalive(now)
    case .closing(let status):
      abort(WebSocketCloseReason(cause: .closeTimeout, code: status.code, reason: status.reason))
    case .ending: closeCarrier()
    case .closed: break
    }
    return nil
  }

  /// Alternates between sending a ping and looking, `pongTimeout` later, whether its pong has come.
  ///
  /// What arrives otherwise proves nothing: a network may have lost one direction only. But a peer on a slow line is not
  /// cut while the data arrives that its pong waits behind, nor while its kernel takes what our ping waits behind.
  private func keepalive(_ now: NIODeadline) -> NIODeadline? {
    guard let pingInterval = configuration.pingInterval else { return nil }
    if isPingDue {
      isPingDue = false
      awaitsPong = true
      pingNumber &+= 1
      notePing()
      ping([pingNumber])
      return now + configuration.pongTimeout
    }
    // Nothing can arrive while reading is paused.
    if awaitsPong, isReading {
      let patience = lastArrival + .nanoseconds(configuration.pongTimeout.nanoseconds / 2)
      if patience > now { return patience }
      if takesWhatIsBeforeThePing() { return now + configuration.pongTimeout }
      abort(WebSocketCloseReason(cause: .keepaliveTimeout, code: .abnormal, reason: "no pong in time"))
      return nil
    }
    isPingDue = true
    return now + max(pingInterval - configuration.pongTimeout, .zero)
  }

  /// Remembers where the ping will stand, when anything stands before it.
  private func notePing() {
    pingPosition = 0
    guard let progress = carrier?.progress else { return }
    bytesTaken = progress.taken
    let waiting = progress.outstanding + Int64(outbound.totalBytes)
    if waiting > 0 { pingPosition = progress.taken + waiting + 1 }
  }

  /// Whether the peer's kernel had not yet taken the ping at the last look, and has taken something since.
  private func takesWhatIsBeforeThePing() -> Bool {
    guard bytesTaken < pingPosition, let progress = carrier?.progress, progress.taken > bytesTaken else { return false }
    bytesTaken = progress.taken
    return true
  }

  // MARK: Closing handshake

  /// This end closes.
  func close(_ status: CloseStatus) {
    guard case .open = stage, let octets = machine.close(status) else { return }
    stage = .closing(status)
    enqueue(ByteBuffer(bytes: octets))
    setDeadline(after: configuration.closeTimeout)
  }

  func closeReceived(_ status: CloseStatus, reply: [UInt8]?) {
    if let reply { enqueue(ByteBuffer(bytes: reply)) }
    if case .closing(let ours) = stage {
      finish(WebSocketCloseReason(cause: .local, code: ours.code, reason: ours.reason))
    } else {
      finish(WebSocketCloseReason(cause: .peer, code: status.code, reason: status.reason))
    }
    end(within: configuration.closeTimeout)
  }

  func failed(_ failure: ProtocolFailure, notice: [UInt8]?) {
    hasFailed = true
    if let notice { enqueue(ByteBuffer(bytes: notice)) }
    finish(WebSocketCloseReason(cause: .protocolFailure, code: failure.code, reason: failure.reason))
    end(within: configuration.lingerTimeout)
  }

  /// Lets what is queued go out and then closes as the role demands (RFC 6455 §7.1.1).
  private func end(within time: TimeAmount) {
    guard carrier != nil else { return }
    // Discarding needs reading, also where the program had paused it.
    setReading(true)
    setDeadline(after: time)
    flush()
    if outbound.totalBytes == 0 { allSent() }
  }

  /// Everything queued has left. After a clean handshake a server closes TCP and a client waits for that; after a failure
  /// only sending is shut down, so that unread octets of the peer do not reset the connection under our notice.
  func allSent() {
    guard let carrier, !hasShutDown else { return }
    hasShutDown = true
    if hasFailed {
      outbound.socket = nil
      carrier.closeOutput()
    } else if machine.role == .server {
      closeCarrier()
    }
  }

  func abort(_ reason: WebSocketCloseReason) {
    finish(reason)
    outbound.clear()
    closeCarrier()
  }

  func closeCarrier() {
    outbound.socket = nil
    seat?.group.block(self)
    dropLaneSocket()
    carrier?.close()
  }
}
