import Marketplace
import Testing

/// The state machine against the contract's table, written down here once more and read as text.
@Suite struct JobTransitionTests {
  /// from → what leads where. Everything that does not stand here is refused.
  private static let contract = """
    pending:   claim=assigned requestCancel=canceled expire=expired fail=failed
    assigned:  start=running requeue=pending requestCancel=canceling fail=failed expire=expired lose=lost
    running:   complete=completed fail=failed requestCancel=canceling requeue=pending lose=lost
    canceling: confirmCancel=canceled complete=completed fail=failed requestCancel=canceling
    """

  private static let expected: [String: [String: String]] = Dictionary(
    uniqueKeysWithValues: contract.split(separator: "\n").map { line in
      let parts = line.split(separator: ":")
      let moves = parts[1].split(separator: " ").map { move in
        let sides = move.split(separator: "=").map(String.init)
        return (sides[0], sides[1])
      }
      return (String(parts[0]), Dictionary(uniqueKeysWithValues: moves))
    })

  @Test(arguments: JobState.allCases, JobInput.allCases)
  func everyStateAndInput(state: JobState, input: JobInput) {
    #expect(JobTransition.next(state, input)?.rawValue == Self.expected[state.rawValue]?[input.rawValue])
  }

  @Test func theTableNamesOnlyWhatExists() {
    for (state, moves) in Self.expected {
      #expect(JobState(rawValue: state) != nil)
      for (input, next) in moves { #expect(JobInput(rawValue: input) != nil && JobState(rawValue: next) != nil) }
    }
    #expect(Self.expected.values.map(\.count).reduce(0, +) == 19)
  }

  @Test(arguments: JobState.allCases.filter(\.isTerminal), JobInput.allCases)
  func terminalNeverMoves(state: JobState, input: JobInput) { #expect(JobTransition.next(state, input) == nil) }

  /// Every state but the reserved one can be reached, and a terminal one from each of them.
  @Test func reachable() {
    var seen: Set<JobState> = [.pending]
    var open: [JobState] = [.pending]
    while let state = open.popLast() {
      for next in JobInput.allCases.compactMap({ JobTransition.next(state, $0) }) where seen.insert(next).inserted {
        open.append(next)
      }
    }
    #expect(seen == Set(JobState.allCases).subtracting([.skipped]))
    for state in seen where !state.isTerminal {
      #expect(JobInput.allCases.contains { JobTransition.next(state, $0)?.isTerminal ?? false })
    }
  }

  @Test func refusalSaysWhatAndWhy() {
    #expect(
      TransitionRefused(state: .completed, input: .requestCancel).description
        == "a job that is completed can't be canceled")
    for input in JobInput.allCases {
      let text = TransitionRefused(state: .lost, input: input).description
      #expect(text.hasPrefix("a job that is lost can't ") && !text.hasSuffix(input.rawValue) || input == .expire)
    }
  }
}
