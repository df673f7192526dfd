import Testing

@testable import Marketplace

/// Success rate, mean time and their rounding.
struct JobStatisticsTests {
  private func statistics(_ counts: [JobState: Int], runTime: Int64 = 0) -> JobStatistics {
    JobStatistics(counts: counts, runTime: runTime, spent: .zero)
  }

  @Test func `nothing gives nothing, not zero`() {
    let none = statistics([:])
    #expect(none.submitted == 0 && none.successRate == nil && none.meanRunTime == nil)
    // What was canceled or is active says nothing.
    let open = statistics([.pending: 3, .running: 2, .canceling: 1, .canceled: 5, .assigned: 1])
    #expect(open.submitted == 12 && open.successRate == nil && open.meanRunTime == nil)
  }

  @Test(
    arguments: [
      ([.completed: 1], "1.0000"), ([.failed: 1], "0.0000"), ([.completed: 2, .failed: 1], "0.6667"),
      ([.completed: 1, .failed: 1, .lost: 1], "0.3333"), ([.completed: 1, .expired: 1], "0.5000"),
      ([.completed: 12, .lost: 1, .canceled: 100], "0.9231"), ([.completed: 1, .failed: 19_999], "0.0001"),
    ] as [([JobState: Int], String)])
  func `success is completed among what ended by itself`(_ counts: [JobState: Int], _ rate: String) {
    #expect(statistics(counts).successRate == rate)
  }

  @Test func `mean time in seconds with milliseconds`() {
    #expect(statistics([.completed: 3], runTime: 4).meanRunTime == "0.001")
    #expect(statistics([.completed: 2], runTime: 25_000).meanRunTime == "12.500")
    #expect(statistics([.completed: 1], runTime: 0).meanRunTime == "0.000")
  }
}
