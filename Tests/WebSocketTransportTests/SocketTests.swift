import NIOCore
import Synchronization
import Testing
import WebSocket

@testable import WebSocketTransport

@Suite(.timeLimit(.minutes(5))) struct SocketCarrierTests {
  @Test func whatWasReadBeforeCounts() throws {
    let rig = try SocketRig(octets: clientFrame(0x81, [0x61]) + clientFrame(0x89, [7]))
    #expect(rig.journal.entries == [.connected, .text("a")])
    #expect(rig.read(3) == [0x8A, 1, 7])
  }

  @Test func aPeerThatOnlyShutsDownItsSendingSide() async throws {
    let rig = try SocketRig()
    rig.say(clientFrame(0x81, [0x61]))
    rig.shutDown()
    #expect(rig.readToEnd().isEmpty)
    #expect(try await rig.journal.closed().cause == .connectionLost)
    #expect(rig.journal.entries.contains(.text("a")))
  }

  @Test func aFailureIsToldBeforeTheEnd() async throws {
    let rig = try SocketRig()
    rig.say([0x83, 0x80])
    let answer = rig.readToEnd()
    #expect(answer.starts(with: [0x88]))
    #expect(Array(answer.dropFirst(2).prefix(2)) == [0x03, 0xEA])
    #expect(try await rig.journal.closed().cause == .protocolFailure)
  }

  @Test func pausedReadingIsHeldBackByTheKernel() async throws {
    let rig = try SocketRig(onText: { $0.pauseReading() })
    for letter in UInt8(ascii: "a")...UInt8(ascii: "d") { rig.say(clientFrame(0x81, [letter])) }
    try await rig.journal.first { $0 == .text("a") }
    for letter in ["b", "c", "d"] {
      try rig.onLoop {}
      #expect(rig.journal.entries.last == .text(String(UnicodeScalar(UInt8(letter.utf8.first ?? 0) - 1))))
      rig.connection.resumeReading()
      try await rig.journal.first { $0 == .text(letter) }
    }
  }

  /// What a paused connection was sent before its peer failed still counts, and the loop does not spin on it.
  @Test func aPeerThatGoesWhileReadingIsPaused() async throws {
    let journal: Journal
    do {
      let rig = try SocketRig()
      try rig.onLoop { rig.connection.pauseReading() }
      rig.say(clientFrame(0x81, [0x61]))
      journal = rig.journal
      try rig.onLoop { #expect(!journal.entries.contains(.text("a"))) }
      rig.connection.resumeReading()
      try await journal.first { $0 == .text("a") }
    }
    try await journal.closed()
  }

  @Test func aStoppingServerAsksNewOnesToo() async throws {
    let rig = try SocketRig()
    rig.set.stop()
    #expect(rig.read(2).first == 0x88)
    rig.say(clientFrame(0x88, [0x03, 0xE9]))
    await rig.set.wait()
    #expect(rig.set.count == 0)
    #expect(rig.journal.entries.contains(.quiescing))
  }
}

@Suite(.timeLimit(.minutes(5))) struct SocketLoopTests {
  @Test func jobsRunInOrder() async throws {
    let loop = SocketLoops.next()
    let seen = Mutex<[Int]>([])
    for number in 0..<1_000 { loop.execute { seen.withLock { $0.append(number) } } }
    try await loop.submit {}.get()
    #expect(seen.withLock { $0 } == Array(0..<1_000))
  }

  @Test func timersRunByTheirDeadline() async throws {
    let loop = SocketLoops.next()
    let seen = Mutex<[String]>([])
    let start = NIODeadline.now()
    let late = loop.scheduleTask(in: .milliseconds(30)) { seen.withLock { $0.append("late") } }
    loop.scheduleTask(in: .milliseconds(10)) { seen.withLock { $0.append("early") } }
    let canceled = loop.scheduleTask(in: .milliseconds(20)) { seen.withLock { $0.append("canceled") } }
    canceled.cancel()
    try await late.futureResult.get()
    #expect(seen.withLock { $0 } == ["early", "late"])
    #expect(NIODeadline.now() - start >= .milliseconds(30))
    await #expect(throws: EventLoopError.self) { try await canceled.futureResult.get() }
  }

  @Test func equalDeadlinesKeepTheirOrder() {
    var timers = TimerQueue()
    let seen = Mutex<[UInt64]>([])
    let deadline = NIODeadline.uptimeNanoseconds(100)
    for id in UInt64(1)...4 { timers.add(id, at: deadline) { seen.withLock { $0.append(id) } } }
    timers.add(5, at: .uptimeNanoseconds(50)) { seen.withLock { $0.append(5) } }
    timers.remove(3)
    #expect(timers.take(at: .uptimeNanoseconds(49)) == nil)
    #expect(timers.next == .uptimeNanoseconds(50))
    while let body = timers.take(at: deadline) { body() }
    #expect(seen.withLock { $0 } == [5, 1, 2, 4])
    #expect(timers.next == nil)
  }
}
