import Marketplace

/// What may go wrong in one run, drawn from its seed.
struct Faults {
  /// A request or its answer is lost, a connection breaks; percent, 0–30.
  let loss: Int
  /// A request comes twice; percent, 0–50.
  let duplication: Int
  /// Mean delay of a message in milliseconds; the tail is exponential.
  let delay: Int64
  /// Mean time of a commit's fsync in milliseconds.
  let sync: Int64
  /// Mean pauses between faults of a kind in milliseconds; 0: never.
  let partition: Int64
  let minerDeath: Int64
  let coordinatorDeath: Int64
  let minerStall: Int64
  let coordinatorStall: Int64
  let clockJump: Int64
  let fullDisk: Int64
  let drain: Int64

  let leaseTerm: Seconds
  let miners: Int
  let clients: Int
  /// Jobs that miners may hold at once; nil: the plan's limit, which is never reached here.
  let runningLimit: Int?

  init(_ world: World) {
    func often(_ mean: ClosedRange<Int64>, _ percent: Int) -> Int64 {
      let drawn = world.number(mean)
      return world.chance(percent) ? drawn : 0
    }
    loss = Int(world.number(0...30))
    duplication = Int(world.number(0...50))
    delay = [1, 5, 20, 80, 300][Int(world.number(0...4))]
    sync = [1, 4, 15, 60][Int(world.number(0...3))]
    partition = often(20_000...200_000, 70)
    minerDeath = often(30_000...300_000, 70)
    coordinatorDeath = often(30_000...300_000, 70)
    minerStall = often(30_000...300_000, 50)
    coordinatorStall = often(40_000...400_000, 50)
    clockJump = often(60_000...300_000, 40)
    fullDisk = often(60_000...300_000, 40)
    drain = often(60_000...300_000, 40)
    leaseTerm = Seconds(world.chance(50) ? 15 : 4)
    miners = Int(world.number(1...4))
    clients = Int(world.number(1...3))
    runningLimit = world.chance(30) ? Int(world.number(1...4)) : nil
  }
}
