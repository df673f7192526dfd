import Glibc
import Marketplace
import Store
import Synchronization
import Testing

/// What `scripts/sanitize address` sets.
private let isUnderAddressSanitizer = getenv("ASAN_OPTIONS") != nil

/// Transactions, events and snapshots; against the protocol only.
@Suite struct TransactionTests {
  @Test(arguments: Backend.all) func whatThrowsLeavesNothing(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker, account) = (fixture.store, fixture.maker, fixture.account)
      let job = maker.job(account.id) { $0.labels = ["a": "b"] }
      await #expect(throws: Refused()) {
        try await store.write { market throws in
          try market.insert(job)
          try market.append(JobEvent(of: job, at: Maker.start))
          try market.setVirtualTime(99)
          // Reads of its own changes, which puts counters on disk before their time.
          #expect(try market.counts() == [.pending: 1])
          #expect(try market.pendingClasses().map(\.ready) == [1])
          #expect(try market.lastSequence() == 1)
          #expect(try market.jobs(JobQuery(account: account.id)).total == 1)
          throw Refused()
        }
      }
      for _ in 0..<2 {
        try await store.read { market throws in
          #expect(try market.job(job.id) == nil)
          #expect(try market.counts() == [:])
          #expect(try market.pendingClasses().isEmpty)
          #expect(try market.virtualTime() == 0)
          #expect(try market.lastSequence() == 0)
          #expect(try market.firstSequence() == 1)
          let page = try market.jobs(JobQuery(account: account.id))
          #expect(page.jobs.isEmpty && page.total == 0 && page.nextCursor == nil)
        }
        // The writer's memory says the same.
        try await store.write { market throws in
          #expect(try market.pendingCount(account: account.id) == 0)
          #expect(try market.virtualTime() == 0)
          #expect(try market.lastSequence() == 0)
        }
      }
    }
  }

  /// One group of operations:   a: +1 job   b: +1 job, throws   c: swallows a failure   d: +1 job
  /// Afterwards:                yes         no                  no                      yes
  @Test(arguments: Backend.all) func operationsOfOneCommitAreIsolated(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker, account) = (fixture.store, fixture.maker, fixture.account)
      let jobs = (0..<4).map { _ in maker.job(account.id) }
      // Holds the writer while the four come, so that they share commits in some way or other.
      let gate = Gate()
      async let blocker: Void = store.write { _ in gate.wait() }
      await gate.reached()
      let results = try await withThrowingTaskGroup(of: (Int, Bool).self) { group in
        for (index, job) in jobs.enumerated() {
          group.addTask {
            do {
              try await store.write { market throws in
                try market.insert(job)
                try market.append(JobEvent(of: job, at: Maker.start))
                try market.setVirtualTime(market.virtualTime() + 1)
                if index == 1 { throw Refused() }
                if index == 2 { try? market.insert(job) }
              }
              return (index, true)
            } catch {
              #expect(index == 1 ? error is Refused : error is StoreError)
              return (index, false)
            }
          }
        }
        gate.open()
        return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
      }
      try await blocker
      #expect(results == [0: true, 1: false, 2: false, 3: true])
      let events = try await store.read { market throws in
        #expect(try market.jobs(JobQuery(account: account.id)).total == 2)
        #expect(try market.counts() == [.pending: 2])
        #expect(try market.pendingClasses().map(\.ready) == [2])
        #expect(try market.virtualTime() == 2)
        return try market.events(after: 0, account: nil, job: nil, limit: 10)
      }
      #expect(events.map(\.sequence) == [1, 2])
      #expect(Set(events.map(\.job)) == [jobs[0].id, jobs[3].id])
    }
  }

  /// What a commit costs must not depend on how many there were.
  @Test(.disabled(if: isUnderAddressSanitizer, "its local variables are not on the stack"))
  func eventsReachTheHandlerByAWayThatDoesNotGrow() async throws {
    try await withFixture(.sqlite) { fixture in
      let depths = Mutex<[UInt]>([])
      fixture.store.setEventHandler { _ in
        var here = 0
        let address = withUnsafeMutablePointer(to: &here) { UInt(bitPattern: $0) }
        depths.withLock { $0.append(address) }
      }
      for _ in 0..<100 {
        let job = fixture.maker.job(fixture.account.id)
        _ = try await fixture.store.write { market in
          try market.insert(job)
          return try market.append(JobEvent(of: job, at: Maker.start))
        }
      }
      #expect(depths.withLock { $0.count } == 100 && depths.withLock { Set($0).count } == 1)
    }
  }

  @Test(arguments: Backend.all) func eventsAreOrderedAndPublishedBeforeTheAnswer(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker, account) = (fixture.store, fixture.maker, fixture.account)
      let published = Published()
      store.setEventHandler { published.add($0) }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<50 {
          group.addTask {
            for _ in 0..<4 {
              let job = maker.job(account.id)
              let sequence = try await store.write { market throws in
                try market.insert(job)
                return try market.append(JobEvent(of: job, at: Maker.start))
              }
              #expect(published.events.contains { $0.sequence == sequence && $0.job == job.id })
            }
          }
        }
        try await group.waitForAll()
      }
      let seen = published.events
      #expect(seen.map(\.sequence) == Array(1...200))
      let stored = try await store.read { try $0.events(after: 0, account: nil, job: nil, limit: 1000) }
      #expect(stored == seen)
    }
  }

  @Test(arguments: Backend.all) func eventsByAccountAndJob(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker) = (fixture.store, fixture.maker)
      let other = maker.account("other")
      try await store.write { try $0.save(other) }
      let jobs = [maker.job(fixture.account.id), maker.job(other.id), maker.job(fixture.account.id)]
      try await fixture.insert(jobs)
      let event = JobEvent(
        sequence: 0, job: jobs[0].id, account: fixture.account.id, at: Maker.start, state: .failed, attempt: 2,
        tryNumber: 3, miner: maker.id(), progress: 44, error: JobError(.timeout, "t"), exitCode: 137,
        cancelOutcome: .tooLate)
      let sequence = try await store.write { try $0.append(event) }
      var full = event
      full.sequence = sequence
      let expected = full
      try await store.read { market throws in
        func sequences(_ after: Int64, _ account: AccountID?, _ job: JobID?, _ limit: Int = 100) throws -> [Int64] {
          try market.events(after: after, account: account, job: job, limit: limit).map(\.sequence)
        }
        #expect(try sequences(0, nil, nil) == [1, 2, 3, 4])
        #expect(try sequences(1, nil, nil, 2) == [2, 3])
        #expect(try sequences(0, fixture.account.id, nil) == [1, 3, 4])
        #expect(try sequences(1, fixture.account.id, nil, 1) == [3])
        #expect(try sequences(0, nil, jobs[0].id) == [1, 4])
        #expect(try sequences(0, other.id, jobs[0].id) == [])
        #expect(try sequences(0, nil, maker.id()) == [])
        #expect(try sequences(4, nil, nil) == [])
        #expect(try sequences(0, nil, nil, 0) == [])
        #expect(try market.events(after: 3, account: nil, job: nil, limit: 1) == [expected])
        #expect(try market.lastSequence() == 4)
        #expect(try market.firstSequence() == 1)
      }
    }
  }

  /// reader: begin, count = n                      count = n (same snapshot)
  /// writer:                     +1 job, commit
  @Test(arguments: Backend.all) func aReadSeesOneSnapshot(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker, account) = (fixture.store, fixture.maker, fixture.account)
      try await fixture.insert([maker.job(account.id)])
      let gate = Gate()
      async let seen = store.read { market throws in
        let first = try market.jobs(JobQuery(account: account.id)).total
        gate.wait()
        return (first, try market.jobs(JobQuery(account: account.id)).total, try market.lastSequence())
      }
      await gate.reached()
      try await fixture.insert([maker.job(account.id)])
      gate.open()
      let (first, second, sequence) = try await seen
      #expect(first == 1 && second == 1 && sequence == 1)
      #expect(try await store.read { try $0.jobs(JobQuery(account: account.id)).total } == 2)
    }
  }

  @Test(arguments: Backend.all) func fiftyWritersLoseNothing(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, account) = (fixture.store, fixture.account)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for writer in 0..<50 {
          group.addTask {
            for round in 0..<10 {
              do {
                try await store.write { market throws in
                  guard var owner = try market.account(account.id) else { throw Refused() }
                  owner.virtualFinish += 1
                  try market.save(owner)
                  try market.setVirtualTime(market.virtualTime() + 1)
                  if (writer + round) % 5 == 0 { throw Refused() }
                }
              } catch is Refused {}
            }
          }
        }
        try await group.waitForAll()
      }
      try await store.read { market throws in
        #expect(try market.account(account.id)?.virtualFinish == 400)
        #expect(try market.virtualTime() == 400)
      }
    }
  }

  @Test(arguments: Backend.all) func aClosedStoreSaysSo(_ backend: Backend) async throws {
    let fixture = try await Fixture(backend)
    try await fixture.store.close()
    try await fixture.store.close()
    await #expect(throws: StoreError.closed) { try await fixture.store.write { _ in } }
    await #expect(throws: StoreError.closed) { try await fixture.store.read { _ in } }
  }
}

/// What the event handler was given, in order.
private final class Published: Sendable {
  private let list = Mutex<[JobEvent]>([])
  var events: [JobEvent] { list.withLock { $0 } }
  func add(_ events: [JobEvent]) { list.withLock { $0 += events } }
}
