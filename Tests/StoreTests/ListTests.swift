import JSON
import Marketplace
import Store
import Testing
import TestRandomness

/// Lists against a naive model; against the protocol only.
@Suite struct ListTests {
  /// Fields share few values, so that filters match some and ties are many.
  private static func makeJobs(_ count: Int, _ fixture: Fixture, _ generator: inout SeededGenerator) throws -> [Job] {
    let names = ["Train", "train big", "ÉTUDE", "100%", "a_b", "x\\y", nil]
    return try (0..<count).map { _ in
      let account = Int.random(in: 0..<10, using: &generator) == 0 ? fixture.maker.id() : fixture.account.id
      let created = Maker.start + Seconds(Int64.random(in: 0..<8, using: &generator))
      var job = fixture.maker.job(account, at: created) { specification in
        specification.name = names.randomElement(using: &generator) ?? nil
        specification.runKey = ["run", "Key", nil].randomElement(using: &generator) ?? nil
        if Bool.random(using: &generator) {
          specification.labels["team"] = ["a", "b"].randomElement(using: &generator)
        }
        if Bool.random(using: &generator) {
          specification.labels["tier"] = ["x", "y"].randomElement(using: &generator)
        }
      }
      let end = Maker.start + Seconds(Int64.random(in: 0..<6, using: &generator))
      switch Int.random(in: 0..<5, using: &generator) {
      case 0: break
      case 1: try job.claim(by: fixture.maker.id(), at: end)
      case 2: try job.expire(at: end)
      case 3: _ = try job.requestCancel(reason: nil, grace: Seconds(1), at: end)
      default:
        try job.claim(by: fixture.maker.id(), at: end)
        try job.start(at: end)
        try job.end(.completed(exitCode: 0, result: nil), backoff: Seconds(0), at: end)
      }
      return job
    }
  }

  private static func makeQuery(_ account: AccountID, _ jobs: [Job], _ generator: inout SeededGenerator) -> JobQuery {
    var query = JobQuery(account: account)
    func chance() -> Bool { Int.random(in: 0..<3, using: &generator) == 0 }
    if chance() {
      query.states = Set(
        JobState.allCases.shuffled(using: &generator).prefix(Int.random(in: 1...10, using: &generator)))
    }
    if chance() { query.labels["team"] = ["a", "b", "c"].randomElement(using: &generator) }
    if chance() { query.labels["tier"] = "x" }
    if chance() {
      let id = jobs.randomElement(using: &generator)?.id.rawValue ?? ""
      query.text = [
        "TRAIN", "étude", "%", "_", "\\", "KEY", "nothing", "", "n\u{1F}r", String(id.suffix(6)).uppercased(),
      ]
      .randomElement(using: &generator)
    }
    if chance() { query.from = Maker.start + Seconds(Int64.random(in: 0..<8, using: &generator)) }
    if chance() { query.until = Maker.start + Seconds(Int64.random(in: 0..<9, using: &generator)) }
    query.sort = JobQuery.Sort.allCases.randomElement(using: &generator) ?? .newest
    query.limit = [1, 2, 7, 500].randomElement(using: &generator) ?? 20
    if chance() { query.offset = Int.random(in: 0..<60, using: &generator) }
    return query
  }

  /// All that match, in order. `jobs` stand in the order of their insertion.
  private static func model(_ query: JobQuery, _ jobs: [Job]) -> [JobID] {
    let matching = jobs.enumerated().filter { _, job in
      let specification = job.specification
      let text = query.text?.lowercased() ?? ""
      let texts = [specification.name ?? "", specification.runKey ?? "", job.id.rawValue].map { $0.lowercased() }
      return job.account == query.account && (query.states.isEmpty || query.states.contains(job.state))
        && query.labels.allSatisfy { specification.labels[$0.key] == $0.value }
        && (text.isEmpty || texts.contains { $0.contains(text) }) && query.from.map { job.createdAt >= $0 } ?? true
        && query.until.map { job.createdAt < $0 } ?? true
    }
    func ends(_ descending: Bool) -> [(offset: Int, element: Job)] {
      let ended = matching.filter { $0.element.completedAt != nil }.sorted {
        ($0.element.completedAt?.milliseconds ?? 0, $0.offset) < ($1.element.completedAt?.milliseconds ?? 0, $1.offset)
      }
      let active = matching.filter { $0.element.completedAt == nil }
      return descending ? Array(ended.reversed()) + Array(active.reversed()) : ended + active
    }
    let created = matching.sorted { ($0.element.createdAt, $0.offset) < ($1.element.createdAt, $1.offset) }
    let ordered: [(offset: Int, element: Job)] =
      switch query.sort {
      case .newest: Array(created.reversed())
      case .oldest: created
      case .latestEnd: ends(true)
      case .earliestEnd: ends(false)
      }
    return ordered.map(\.element.id)
  }

  @Test(arguments: Backend.all) func listsAgreeWithTheModel(_ backend: Backend) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    try await withFixture(backend, seed: seed) { fixture in
      var generator = SeededGenerator(seed: seed)
      let jobs = try Self.makeJobs(150, fixture, &generator)
      try await fixture.insert(jobs)
      for round in 0..<250 {
        let query = Self.makeQuery(fixture.account.id, jobs, &generator)
        let expected = Self.model(query, jobs)
        var found: [JobID] = []
        var (page, next) = (query, Optional<String>.none)
        repeat {
          let result = try await fixture.store.read { [page] in try $0.jobs(page) }
          #expect(result.total == expected.count, "seed \(seed) round \(round): \(query)")
          #expect(result.jobs.count <= query.limit)
          found += result.jobs.map(\.id)
          next = result.nextCursor
          #expect(next == nil || result.jobs.count == query.limit)
          page.cursor = next
          page.offset = 0
        } while next != nil && found.count <= 200
        #expect(found == Array(expected.dropFirst(query.offset)), "seed \(seed) round \(round): \(query)")
      }
    }
  }

  @Test(arguments: Backend.all) func rowsComeBackWhole(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      var generator = SeededGenerator(seed: 3)
      let jobs = try Self.makeJobs(40, fixture, &generator).filter { $0.account == fixture.account.id }
      try await fixture.insert(jobs)
      let found = try await fixture.store.read { market throws in
        var query = JobQuery(account: fixture.account.id)
        query.limit = 500
        query.countsTotal = false
        return try market.jobs(query).jobs
      }
      #expect(Set(found) == Set(jobs))
    }
  }

  @Test(arguments: Backend.all) func cursorsSurviveChangesBetweenPages(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker) = (fixture.store, fixture.maker)
      let jobs = (0..<10).map { maker.job(fixture.account.id, at: Maker.start + Seconds(Int64($0))) }
      try await fixture.insert(jobs)
      var query = JobQuery(account: fixture.account.id)
      query.limit = 4
      let first = try await store.read { [query] in try $0.jobs(query) }
      // A newer job must neither repeat nor hide what follows.
      try await fixture.insert([maker.job(fixture.account.id, at: Maker.start + Seconds(99))])
      query.cursor = first.nextCursor
      let second = try await store.read { [query] in try $0.jobs(query) }
      #expect(second.jobs.map(\.id) == jobs.reversed().dropFirst(4).prefix(4).map(\.id))
      #expect(second.total == 11)
    }
  }

  @Test(arguments: Backend.all) func badCursorsAreRefused(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      try await fixture.insert((0..<3).map { _ in fixture.maker.job(fixture.account.id) })
      var query = JobQuery(account: fixture.account.id)
      query.limit = 1
      let first = try await fixture.store.read { [query] in try $0.jobs(query) }
      let good = try #require(first.nextCursor)
      query.cursor = good
      let second = try await fixture.store.read { [query] in try $0.jobs(query) }
      #expect(second.jobs.count == 1)
      let rubbish = [
        "", "x", "====", String(good.dropLast()), good + "AAAA", "é", String(repeating: "A", count: 10_000),
      ]
      for cursor in rubbish {
        query.cursor = cursor
        await Self.expectRefusal(query, fixture.store)
      }
      query.cursor = good
      for sort in JobQuery.Sort.allCases where sort != .newest {
        query.sort = sort
        await Self.expectRefusal(query, fixture.store)
      }
    }
  }

  private static func expectRefusal(_ query: JobQuery, _ store: any MarketStore) async {
    await #expect(throws: InvalidCursor.self, "\(query.cursor ?? "") \(query.sort)") {
      try await store.read { market in try market.jobs(query) }
    }
  }

  @Test(arguments: Backend.all) func pagesAreBounded(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      try await fixture.insert((0..<502).map { _ in fixture.maker.job(fixture.account.id) })
      var query = JobQuery(account: fixture.account.id)
      for (limit, count) in [(500, 500), (501, 500), (Int.max, 500), (1, 1), (0, 1), (-5, 1)] {
        query.limit = limit
        let page = try await fixture.store.read { [query] in try $0.jobs(query) }
        #expect(page.jobs.count == count && page.total == 502)
      }
    }
  }

  /// Jobs may have megabytes each: a page of hundreds of them is shorter, and the cursor goes on behind it.
  @Test func aPageOfLargeJobsIsShort() async throws {
    try await withFixture(.sqlite) { fixture in
      let text = String(repeating: "x", count: 1 << 20)
      let jobs = (0..<12).map { number in
        fixture.maker.job(fixture.account.id, at: Maker.start + Seconds(Int64(number))) { specification in
          specification.payload = JSONObject([("text", .string(text))])
        }
      }
      try await fixture.insert(jobs)
      var query = JobQuery(account: fixture.account.id)
      query.sort = .oldest
      query.limit = 500
      var found: [JobID] = []
      repeat {
        let page = try await fixture.store.read { [query] in try $0.jobs(query) }
        #expect((1...5).contains(page.jobs.count) && page.total == 12)
        found += page.jobs.map(\.id)
        query.cursor = page.nextCursor
      } while query.cursor != nil
      #expect(found == jobs.map(\.id))
    }
  }
}
