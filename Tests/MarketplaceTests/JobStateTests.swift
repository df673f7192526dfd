import Marketplace
import Testing

@Suite struct JobStateTests {
  /// Our word on the left, then every word that means it in the systems our users come from.
  private static let words = """
    pending: queued blocked waiting
    assigned: starting claimed
    running: uploading
    canceling: cancelling
    completed: succeeded success done
    failed: timed_out
    canceled: cancelled aborted upstream_canceled
    expired:
    lost: agent+offline
    skipped: excluded upstream_failed
    """

  private static let synonyms: [(String, JobState)] = words.split(separator: "\n").flatMap { line in
    let parts = line.split(separator: ":", maxSplits: 1)
    let state = JobState(rawValue: String(parts[0])) ?? .skipped
    let others = parts.count > 1 ? parts[1].split(separator: " ") : []
    return [(String(parts[0]), state)] + others.map { ($0.split(separator: "+").joined(separator: " "), state) }
  }

  @Test func everySynonymInAnyCase() {
    #expect(Self.synonyms.count == 27)
    for (word, state) in Self.synonyms {
      for form in [word, word.uppercased(), word.prefix(1).uppercased() + word.dropFirst()] {
        #expect(JobState.matching(form) == [state], "\(form)")
        #expect(JobState.matching(Substring(form)) == [state], "\(form)")
      }
    }
  }

  @Test func wordsForSeveral() {
    #expect(JobState.matching("Internal_Error") == [.failed, .lost])
    #expect(JobState.matching("active") == Set(JobState.allCases.filter { !$0.isTerminal }))
    for word in ["terminal", "finished"] {
      #expect(JobState.matching(word) == Set(JobState.allCases.filter(\.isTerminal)))
    }
  }

  @Test(arguments: [
    "", " ", "unknown", "pending ", "pend", "pendings", "runnning", "cancel", "0", "pending,running", "éxpired",
  ])
  func unknownIsNil(word: String) { #expect(JobState.matching(word) == nil) }

  @Test func filterWordsAreAllKnown() {
    #expect(JobState.filterWords == JobState.filterWords.sorted())
    #expect(JobState.filterWords.allSatisfy { JobState.matching($0) != nil })
    #expect(
      Set(JobState.filterWords)
        == Set(Self.synonyms.map(\.0)).union(["internal_error", "active", "terminal", "finished"]))
  }

  @Test func aitbcWords() {
    let expected: [JobState: String] = [
      .pending: "QUEUED", .assigned: "RUNNING", .running: "RUNNING", .canceling: "RUNNING", .completed: "COMPLETED",
      .failed: "FAILED", .lost: "FAILED", .canceled: "CANCELED", .expired: "EXPIRED", .skipped: "SKIPPED",
    ]
    #expect(Dictionary(uniqueKeysWithValues: JobState.allCases.map { ($0, $0.aitbcWord) }) == expected)
  }

  @Test func kinds() {
    #expect(JobState.allCases.filter(\.isHeld) == [.assigned, .running, .canceling])
    #expect(JobState.allCases.filter(\.isTerminal) == [.completed, .failed, .canceled, .expired, .lost, .skipped])
  }

  @Test func errorCodes() {
    let contract = [
      "EXIT_NONZERO", "SIGNALED", "LAUNCH_FAILED", "TIMEOUT", "LOST", "OUT_OF_MEMORY", "DISK_FULL", "OUTPUT_TOO_LARGE",
      "REFUSED", "EXPIRED", "CANCELED", "UNSCHEDULABLE",
    ]
    for code in contract { #expect(JobErrorCode(rawValue: code) != nil, "\(code)") }
    #expect(JobError(.timeout, "after 5 s").text == "TIMEOUT: after 5 s")
  }

  /// The message is cut to 4 KiB whatever it is made of.
  @Test(arguments: ["x", "é", "€", "😀", "e\u{301}"]) func longMessages(piece: String) {
    let fitting = String(repeating: piece, count: 4_096 / piece.utf8.count)
    #expect(JobError(.minerError, fitting).message == fitting)
    for message in [fitting + piece + piece + piece, "a" + String(repeating: "\u{301}", count: 10_000)] {
      let cut = JobError(.minerError, message).message
      #expect(cut.utf8.count <= 4_096 && cut.utf8.count > 4_088)
      #expect(cut.unicodeScalars.last == "…" && message.unicodeScalars.starts(with: cut.unicodeScalars.dropLast()))
    }
  }
}
