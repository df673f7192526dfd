import Testing

@testable import Marketplace

/// What the plans promise, at their edges.
struct PlanTests {
  @Test(arguments: Plan.allCases) func `quotas hold at the limit and refuse one past`(_ plan: Plan) {
    let (jobs, bytes) = (plan.activeJobLimit, plan.storageLimit)
    #expect(plan.fault(activeJobs: 0, storedBytes: 0) == nil)
    #expect(plan.fault(activeJobs: jobs - 1, storedBytes: bytes - 1) == nil)
    #expect(plan.fault(activeJobs: jobs, storedBytes: 0) == .activeJobs(limit: jobs))
    #expect(plan.fault(activeJobs: 0, storedBytes: bytes) == .storage(used: bytes, limit: bytes))
    #expect(plan.fault(activeJobs: 0, storedBytes: bytes + 5) == .storage(used: bytes + 5, limit: bytes))
  }

  @Test func `a better plan gives no less`() {
    for (less, more) in [(Plan.free, Plan.pro), (.pro, .enterprise)] {
      #expect(less.retention < more.retention && less.storageLimit < more.storageLimit)
      #expect(less.activeJobLimit < more.activeJobLimit && less.weight < more.weight)
    }
  }
}
