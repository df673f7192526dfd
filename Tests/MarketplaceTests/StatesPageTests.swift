import Foundation
import Marketplace
import Testing

/// `docs/states.md` shows the state machine; this holds the page against the code.
@Suite struct StatesPageTests {
  private static func page() throws -> [String] {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appending(path: "docs/states.md"), encoding: .utf8)
    return text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  private static func cells(_ line: String) -> [String] {
    line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
  }

  @Test func tableIsTheMachine() throws {
    let lines = try Self.page()
    let header = try #require(lines.firstIndex { $0.hasPrefix("| from |") })
    let inputs = Self.cells(lines[header]).dropFirst()
    #expect(inputs.elementsEqual(JobInput.allCases.map(\.rawValue)))
    let rows = lines[(header + 2)...].prefix { $0.hasPrefix("|") }.map(Self.cells)
    #expect(rows.map(\.first) == JobState.allCases.map(\.rawValue))
    for (state, row) in zip(JobState.allCases, rows) {
      for (input, cell) in zip(JobInput.allCases, row.dropFirst()) {
        #expect(JobTransition.next(state, input)?.rawValue ?? "-" == cell, "\(state) × \(input)")
      }
      #expect(row.count == JobInput.allCases.count + 1)
    }
  }

  /// The picture has an arrow for every change, and no other.
  @Test func diagramIsTheMachine() throws {
    let arrows = try Self.page().map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { $0.contains("-->") && $0.contains(":") }
    var expected: Set<String> = []
    for state in JobState.allCases {
      for input in JobInput.allCases {
        guard let next = JobTransition.next(state, input), next != state else { continue }
        expected.insert("\(state.rawValue) --> \(next.rawValue): \(input.rawValue)")
      }
    }
    #expect(Set(arrows) == expected)
    #expect(arrows.count == expected.count)
  }

  @Test func wordsForOldClients() throws {
    let lines = try Self.page()
    for state in JobState.allCases {
      #expect(lines.contains { $0.hasPrefix("| `\(state.rawValue)` |") && $0.hasSuffix("| `\(state.aitbcWord)` |") })
    }
  }
}
