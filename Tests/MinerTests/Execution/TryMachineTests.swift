import Marketplace
import Testing

@testable import Miner

@Suite("Try machine")
struct TryMachineTests {
  typealias Machine = TryMachine

  static let events: [Machine.Event] = [
    .prepared, .prepareFailed, .ended(wasStopped: false), .ended(wasStopped: true), .collected, .settled, .incomplete,
    .notSettled, .resumed, .cancel(grace: Seconds(5)), .fence, .leaseLost, .drain,
    .leave(grace: Seconds(7)),
  ]

  /// All machines that any sequence of events reaches (with the bound on repeats left out of the count).
  static let reachable: [Machine.State: Machine] = {
    var found: [Machine.State: Machine] = [Machine().state: Machine()]
    var queue = [Machine()]
    while let machine = queue.popLast() {
      for event in events {
        var next = machine
        _ = next.handle(event)
        if found.updateValue(found[next.state] ?? next, forKey: next.state) == nil { queue.append(next) }
      }
    }
    return found
  }()

  @Test func `every state is reached`() {
    // Three phases and the report with five kinds of stop each, less a report that is lost; and the end.
    #expect(Self.reachable.count == 3 * 5 + 4 + 1)
  }

  /// The whole table, row by row: what each event does in each state. `·` stands for nothing.
  @Test func `the table`() {
    var lines: [String] = []
    for state in Self.reachable.keys.sorted(by: { "\($0)" < "\($1)" }) {
      for event in Self.events {
        guard var machine = Self.reachable[state] else { continue }
        let action = machine.handle(event)
        if action == .none, machine.state == state { continue }
        lines.append("\(Self.name(state)) + \(Self.name(event)) -> \(Self.name(machine.state)): \(Self.name(action))")
      }
    }
    #expect(lines.sorted() == Self.table.split(separator: "\n").map(String.init).sorted())
  }

  @Test func `what holds for every state and event`() {
    for (state, machine) in Self.reachable {
      for event in Self.events {
        var next = machine
        let action = next.handle(event)
        // Only what is over is thrown away, and what is over is thrown away once.
        #expect((action == .discard) == (next.state == .finished && state != .finished), "\(state) + \(event)")
        // A lost lease is never reported, whatever comes after.
        if machine.stop == .lost { #expect(action != .report && action != .refuse, "\(state) + \(event)") }
        // Reasons only get stronger.
        if let before = machine.stop, let after = next.stop { #expect(after >= before, "\(state) + \(event)") }
        // The payload starts only from an undisturbed preparation.
        if action == .launch { #expect(state == .preparing(nil) && event == .prepared) }
        // Nobody ends a payload that does not run.
        if case .running = state {} else if case .terminate = action { Issue.record("\(state) + \(event)") }
        if case .running = state {} else { #expect(action != .kill, "\(state) + \(event)") }
        if state == .finished { #expect(action == .none && next == machine) }
      }
    }
  }

  @Test func `fence and lost lease end a running payload at once, from any agreement`() {
    for stop in [nil, .leaving, .fenced, .canceled, .lost] as [Machine.Stop?] {
      for event in [.fence, .leaseLost] as [Machine.Event] {
        guard var machine = Self.reachable[.running(stop)] else {
          Issue.record("running(\(String(describing: stop))) is not reached")
          continue
        }
        #expect(machine.handle(event) == .kill)
      }
    }
  }

  @Test func `from every state the end is reached by what must come`() {
    for (state, machine) in Self.reachable {
      var machine = machine
      for event in [.prepared, .ended(wasStopped: false), .collected, .settled] as [Machine.Event] {
        _ = machine.handle(event)
      }
      #expect(machine.state == .finished, "\(state)")
    }
  }

  @Test func `a report that is always incomplete is given up`() {
    var machine = Machine()
    for event in [.prepared, .ended(wasStopped: false), .collected] as [Machine.Event] { _ = machine.handle(event) }
    for _ in 0..<Machine.maximumRepeats {
      #expect(machine.handle(.incomplete) == .collect(artifacts: true))
      #expect(machine.handle(.collected) == .report)
    }
    #expect(machine.handle(.incomplete) == .discard)
    #expect(machine.state == .finished)
  }

  private static func name(_ state: Machine.State) -> String {
    func stop(_ stop: Machine.Stop?) -> String { stop.map { "(\($0))" } ?? "" }
    switch state {
    case .preparing(let reason): return "preparing" + stop(reason)
    case .running(let reason): return "running" + stop(reason)
    case .collecting(let reason): return "collecting" + stop(reason)
    case .reporting(let reason): return "reporting" + stop(reason)
    case .finished: return "finished"
    }
  }

  private static func name(_ event: Machine.Event) -> String {
    switch event {
    case .cancel: "cancel"
    case .leave: "leave"
    case .ended(let wasStopped): wasStopped ? "stopped" : "ended"
    default: "\(event)"
    }
  }

  private static func name(_ action: Machine.Action) -> String {
    switch action {
    case .terminate(let grace): "terminate \(grace.whole)"
    case .collect(let artifacts): artifacts ? "collect all" : "collect logs"
    default: "\(action)"
    }
  }

  static let table = """
    preparing + prepared -> running: launch
    preparing + prepareFailed -> reporting: report
    preparing + cancel -> preparing(canceled): abort
    preparing + fence -> preparing(fenced): abort
    preparing + leaseLost -> preparing(lost): abort
    preparing + drain -> preparing(leaving): abort
    preparing + leave -> preparing(leaving): abort
    preparing(leaving) + prepared -> reporting(leaving): refuse
    preparing(leaving) + prepareFailed -> reporting(leaving): refuse
    preparing(leaving) + cancel -> preparing(canceled): abort
    preparing(leaving) + fence -> preparing(fenced): abort
    preparing(leaving) + leaseLost -> preparing(lost): abort
    preparing(fenced) + prepared -> reporting(fenced): report
    preparing(fenced) + prepareFailed -> reporting(fenced): report
    preparing(fenced) + cancel -> preparing(canceled): abort
    preparing(fenced) + leaseLost -> preparing(lost): abort
    preparing(canceled) + prepared -> reporting(canceled): report
    preparing(canceled) + prepareFailed -> reporting(canceled): report
    preparing(canceled) + leaseLost -> preparing(lost): abort
    preparing(lost) + prepared -> finished: discard
    preparing(lost) + prepareFailed -> finished: discard
    running + ended -> collecting: collect all
    running + stopped -> collecting: collect all
    running + resumed -> running: announce
    running + cancel -> running(canceled): terminate 5
    running + fence -> running(fenced): kill
    running + leaseLost -> running(lost): kill
    running + leave -> running(leaving): terminate 7
    running(leaving) + ended -> collecting(leaving): collect all
    running(leaving) + stopped -> collecting(leaving): collect logs
    running(leaving) + resumed -> running(leaving): announce
    running(leaving) + cancel -> running(canceled): terminate 5
    running(leaving) + fence -> running(fenced): kill
    running(leaving) + leaseLost -> running(lost): kill
    running(fenced) + ended -> collecting(fenced): collect all
    running(fenced) + stopped -> collecting(fenced): collect logs
    running(fenced) + resumed -> running(fenced): announce
    running(fenced) + cancel -> running(canceled): terminate 5
    running(fenced) + fence -> running(fenced): kill
    running(fenced) + leaseLost -> running(lost): kill
    running(canceled) + ended -> collecting(canceled): collect all
    running(canceled) + stopped -> collecting(canceled): collect all
    running(canceled) + resumed -> running(canceled): announce
    running(canceled) + cancel -> running(canceled): terminate 5
    running(canceled) + fence -> running(canceled): kill
    running(canceled) + leaseLost -> running(lost): kill
    running(lost) + ended -> finished: discard
    running(lost) + stopped -> finished: discard
    running(lost) + resumed -> running(lost): announce
    running(lost) + fence -> running(lost): kill
    running(lost) + leaseLost -> running(lost): kill
    collecting + collected -> reporting: report
    collecting + leaseLost -> collecting(lost): abort
    collecting(leaving) + collected -> reporting(leaving): report
    collecting(leaving) + leaseLost -> collecting(lost): abort
    collecting(fenced) + collected -> reporting(fenced): report
    collecting(fenced) + leaseLost -> collecting(lost): abort
    collecting(canceled) + collected -> reporting(canceled): report
    collecting(canceled) + leaseLost -> collecting(lost): abort
    collecting(lost) + collected -> finished: discard
    reporting + settled -> finished: discard
    reporting + leaseLost -> finished: discard
    reporting + incomplete -> collecting: collect all
    reporting + notSettled -> reporting: report
    reporting + resumed -> collecting: collect logs
    reporting(leaving) + settled -> finished: discard
    reporting(leaving) + leaseLost -> finished: discard
    reporting(leaving) + incomplete -> collecting(leaving): collect all
    reporting(leaving) + notSettled -> reporting(leaving): report
    reporting(leaving) + resumed -> collecting(leaving): collect logs
    reporting(fenced) + settled -> finished: discard
    reporting(fenced) + leaseLost -> finished: discard
    reporting(fenced) + incomplete -> collecting(fenced): collect all
    reporting(fenced) + notSettled -> reporting(fenced): report
    reporting(fenced) + resumed -> collecting(fenced): collect logs
    reporting(canceled) + settled -> finished: discard
    reporting(canceled) + leaseLost -> finished: discard
    reporting(canceled) + incomplete -> collecting(canceled): collect all
    reporting(canceled) + notSettled -> reporting(canceled): report
    reporting(canceled) + resumed -> collecting(canceled): collect logs
    """
}
