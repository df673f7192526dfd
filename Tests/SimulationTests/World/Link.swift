/// A connection between two machines, as TCP keeps it: in order and each message once, until it breaks; and then what
/// was under way is lost, and an end may not know of it for a while. The server is above, the client below.
final class Link<Up, Down>: @unchecked Sendable {
  private let path: Path
  private let up: Lane<Up>
  private let down: Lane<Down>
  private(set) var isOpenAbove = true
  private(set) var isOpenBelow = true
  var closedAbove: () -> Void = {}
  var closedBelow: () -> Void = {}
  private var lastContact: Int64
  private var world: World { path.world }

  /// Pings every 25 s and 10 s for the pong: an end that hears nothing for so long gives the connection up.
  private static var silence: Int64 { 35_000 }

  init(_ path: Path) {
    self.path = path
    up = Lane(path, .up)
    down = Lane(path, .down)
    lastContact = path.world.now
    watch()
  }

  func onReceiveAbove(_ body: @escaping (Up) -> Void) {
    up.deliver = { [self] in if isOpenAbove { body($0) } }
  }

  func onReceiveBelow(_ body: @escaping (Down) -> Void) {
    down.deliver = { [self] in if isOpenBelow { body($0) } }
  }

  func sendUp(_ message: Up) { if isOpenBelow, !breaks() { up.send(message) } }
  func sendDown(_ message: Down) { if isOpenAbove, !breaks() { down.send(message) } }

  /// A message in some hundreds, where the network is bad, finds the connection reset.
  private func breaks() -> Bool {
    guard !path.isHealed, world.chance(path.faults.loss), world.chance(2) else { return false }
    breakOff()
    return true
  }

  /// Both ends are told: one soon, the other in a while. What is under way is lost.
  func breakOff() {
    world.note("\(path.name): the connection is reset")
    up.die()
    down.die()
    let (first, second) = (world.wait(mean: 20), world.wait(mean: 3_000))
    let isAboveFirst = world.chance(50)
    world.after(isAboveFirst ? first : second) { self.end(above: true) }
    world.after(isAboveFirst ? second : first) { self.end(above: false) }
  }

  func closeAbove() {
    guard isOpenAbove else { return }
    end(above: true)
    down.afterLast { self.end(above: false) }
  }

  func closeBelow() {
    guard isOpenBelow else { return }
    end(above: false)
    up.afterLast { self.end(above: true) }
  }

  private func end(above: Bool) {
    if above, isOpenAbove {
      isOpenAbove = false
      closedAbove()
    } else if !above, isOpenBelow {
      isOpenBelow = false
      closedBelow()
    }
  }

  private func watch() {
    world.after(5_000) { [self] in
      guard isOpenAbove || isOpenBelow else { return }
      if isOpenAbove, isOpenBelow, !path.isCut(.up), !path.isCut(.down), !path.isStalled { lastContact = world.now }
      if world.now - lastContact > Self.silence {
        end(above: true)
        end(above: false)
      }
      watch()
    }
  }
}

/// One direction of a link.
private final class Lane<Message>: @unchecked Sendable {
  private enum Parcel {
    case message(Message)
    case end(() -> Void)
  }

  private let path: Path
  private let way: Path.Way
  private var queue: [Parcel] = []
  private var head = 0
  private var last: Int64 = 0
  private var isDead = false
  var deliver: (Message) -> Void = { _ in }

  init(_ path: Path, _ way: Path.Way) {
    self.path = path
    self.way = way
  }

  func send(_ message: Message) { if !isDead { add(.message(message)) } }

  /// Happens at the other end when all that was sent has arrived there.
  func afterLast(_ body: @escaping () -> Void) { add(.end(body)) }

  /// What is under way is lost, and what is sent from now on.
  func die() {
    isDead = true
    (queue, head) = ([], 0)
  }

  private func add(_ parcel: Parcel) {
    queue.append(parcel)
    last = max(last, path.arrival(way))
    arrive(at: last)
  }

  private func arrive(at time: Int64) {
    path.world.after(time - path.world.now) { [self] in
      guard head < queue.count else { return }
      // Retransmitted until it comes through.
      guard !path.isCut(way) else {
        last = max(last, path.healed(way))
        return arrive(at: path.healed(way))
      }
      let parcel = queue[head]
      head += 1
      if head == queue.count { (queue, head) = ([], 0) }
      switch parcel {
      case .message(let message): deliver(message)
      case .end(let body): body()
      }
    }
  }
}

/// The network between one machine and the coordinator.
final class Path: @unchecked Sendable {
  enum Way { case up, down }

  let world: World
  let faults: Faults
  let name: String
  private let ends: [Host]
  private var healed: [Way: Int64] = [:]
  private(set) var isHealed = false

  init(_ world: World, _ faults: Faults, name: String, between ends: [Host]) {
    self.world = world
    self.faults = faults
    self.name = name
    self.ends = ends
  }

  func healed(_ way: Way) -> Int64 { healed[way] ?? 0 }
  func isCut(_ way: Way) -> Bool { world.now < healed(way) }
  /// One of its machines answers no ping.
  var isStalled: Bool { ends.contains { $0.isStalled } }

  /// When a message that is sent now comes through. A lost segment is sent again later, and holds up what follows.
  func arrival(_ way: Way) -> Int64 {
    if isHealed { return world.now + 1 }
    let again = world.chance(faults.loss / 3) ? world.number(200...3_000) : 0
    return max(world.now, healed(way)) + world.wait(mean: faults.delay) + again
  }

  /// A datagram's fate: nil when it is lost.
  func flight(_ way: Way) -> Int64? {
    if isHealed { return 1 }
    guard !isCut(way), !world.chance(faults.loss) else { return nil }
    return world.wait(mean: faults.delay)
  }

  /// Both ways, or one.
  func cut(_ span: Int64) {
    let kind = world.number(0...3)
    world.note("\(name) is cut for \(span) ms \(kind == 2 ? "upwards" : kind == 3 ? "downwards" : "both ways")")
    if kind != 3 { healed[.up] = max(healed(.up), world.now + span) }
    if kind != 2 { healed[.down] = max(healed(.down), world.now + span) }
  }

  func heal() {
    isHealed = true
    healed = [:]
  }
}
