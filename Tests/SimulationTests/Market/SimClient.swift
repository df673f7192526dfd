import Marketplace

/// A program that submits jobs and cancels some. It repeats what it got no answer to, with the same idempotency key, and
/// keeps a ledger of what was acknowledged.
final class SimClient: @unchecked Sendable {
  private let world: World
  private let faults: Faults
  private let coordinator: SimCoordinator
  private let checks: Checks
  private let path: Path
  private let name: String
  private var count = 0
  /// Mean pause between two submissions in milliseconds.
  private let pause: Int64
  /// Watches some of the jobs; told of each that was accepted.
  var watch: (JobID) -> Void = { _ in }

  init(_ number: Int, _ coordinator: SimCoordinator) {
    world = coordinator.world
    faults = coordinator.faults
    self.coordinator = coordinator
    checks = coordinator.checks
    name = "client \(number)"
    path = Path(world, faults, name: name, between: [coordinator.host])
    pause = world.number(8_000...40_000)
  }

  func begin(until end: Int64) {
    world.after(world.wait(mean: pause)) { [self] in
      guard world.now < end else { return }
      submit()
      begin(until: end)
    }
  }

  func cut(_ span: Int64) { path.cut(span) }
  func heal() { path.heal() }

  // MARK: Submitting

  private func submit() {
    count += 1
    let key = "\(name) \(count)"
    var specification = JobSpecification(runner: world.chance(25) ? "noop" : "process")
    let runKey = world.chance(20) ? "run \(world.number(1...2))" : nil
    if let runKey {
      // One key stands for one specification.
      specification.runner = "process"
      specification.runKey = runKey
      specification.payload = PayloadPlan(duration: 3_000, end: .ok, isStubborn: false).payload
      specification.isStrict = runKey == "run 2"
    } else {
      specification.payload = plan.payload
      specification.labels = ["request": key]
      specification.maxTries = Int(world.number(1...3))
      specification.timeToLive = Seconds(world.number(20...300))
      specification.priority = Priority.allCases[Int(world.number(0...Int64(Priority.allCases.count - 1)))]
    }
    // Without an idempotency key a submission is never repeated by our client; a run key protects it then.
    ask(specification, key: key, attempt: 0)
  }

  private var plan: PayloadPlan {
    let end = world.chance(75) ? PayloadPlan.End.ok : world.chance(50) ? .fails : .minerFails
    return PayloadPlan(
      duration: min(60_000, world.wait(mean: world.chance(10) ? 30_000 : 5_000)), end: end,
      isStubborn: world.chance(20))
  }

  private func ask(_ specification: JobSpecification, key: String, attempt: Int) {
    request(attempt: attempt) { [self] answer in
      coordinator.submit(specification, key: key, answer: answer)
    } then: { [self] answer in
      switch answer {
      case .accepted(let job, _):
        world.note("\(name): \(key) is \(job)")
        checks.acknowledged(job, key: key)
        if specification.runKey == nil, world.chance(20) {
          world.after(world.wait(mean: 6_000)) { self.cancel(job, attempt: 0) }
        }
        watch(job)
      case .refused(let reason): world.note("\(name): \(key) refused: \(reason)")
      case .canceled, .later, nil: ask(specification, key: key, attempt: attempt + 1)
      }
    }
  }

  private func cancel(_ job: JobID, attempt: Int) {
    request(attempt: attempt) { [self] answer in
      coordinator.cancel(job, grace: Seconds(world.number(0...5)), answer: answer)
    } then: { [self] answer in
      switch answer {
      case .canceled: checks.cancelAcknowledged(job)
      case .accepted, .refused: break
      case .later, nil: if attempt < 20 { cancel(job, attempt: attempt + 1) }
      }
    }
  }

  // MARK: Requests

  /// Asks once, after a back-off; the network may lose the request or its answer, or bring it twice. Nil: no answer in
  /// time. Every answer that comes is heard once.
  private func request(
    attempt: Int, _ body: @escaping (@escaping (SimCoordinator.Answer) -> Void) -> Void,
    then: @escaping (SimCoordinator.Answer?) -> Void
  ) {
    var isHeard = false
    func hear(_ answer: SimCoordinator.Answer?) {
      guard !isHeard else { return }
      isHeard = true
      then(answer)
    }
    let backoff = attempt == 0 ? 0 : world.number(0...min(15_000, 500 << Int64(min(attempt, 5))))
    world.after(backoff) { [self] in
      let copies = !path.isHealed && world.chance(faults.duplication) ? 2 : 1
      for _ in 0..<copies {
        guard let flight = path.flight(.up) else { continue }
        world.after(flight) { [self] in
          guard coordinator.host.isUp else { return }
          coordinator.host.after(0) { [self] in
            body { [self] answer in
              guard let flight = path.flight(.down) else { return }
              world.after(flight) { hear(answer) }
            }
          }
        }
      }
      world.after(10_000) { hear(nil) }
    }
  }
}
