import Testing
import WebSocket

@testable import Coordinator

/// `docs/protocol.md` and the code say the same.
@Suite struct FeedTableTests {
  static func rows() throws -> [[String]] {
    try repositoryFile("docs/protocol.md").split(separator: "\n").filter { $0.hasPrefix("| ") }
      .map { $0.split(separator: "|").map { $0.trimmed } }
  }

  @Test func closeCodes() throws {
    let rows = try Self.rows()
    for code in FeedCloseCode.allCases {
      let row = try #require(rows.first { $0.first == String(code.rawValue) }, "\(code) is not in the table")
      #expect(row[1] == String(describing: code))
      #expect(row[3] == code.duty.rawValue)
    }
  }

  @Test func rangesTellTheDuty() {
    for code in FeedCloseCode.allCases where code.rawValue >= 3000 {
      let reconnects = (3000..<3500).contains(code.rawValue) || (4000..<4500).contains(code.rawValue)
      #expect((code.duty == .reconnect) == reconnects, "\(code)")
    }
    #expect(FeedCloseCode.allCases.allSatisfy { $0.code.isSendable })
  }

  @Test func everyLimitIsDocumented() throws {
    let text = try repositoryFile("docs/protocol.md")
    let names = Mirror(reflecting: FeedLimits()).children.compactMap(\.label)
    #expect(names.count > 10)
    for name in names { #expect(text.contains("`\(name)`"), "\(name)") }
  }
}

extension Substring {
  fileprivate var trimmed: String {
    String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}
