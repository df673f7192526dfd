import Clocks
import JSON
import Marketplace
import Store
import Testing

/// What every backend must do. Written against the protocol only.
@Suite struct StoreContractTests {
  @Test(arguments: Backend.all) func accountsAndKeys(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker) = (fixture.store, fixture.maker)
      var pro = maker.account("pro", plan: .pro)
      let key = APIKeyRecord(hash: "aa", account: pro.id, role: .miner, createdAt: Maker.start)
      try await store.write { [pro] in
        try $0.save(pro)
        try $0.insert(key)
      }
      pro.virtualFinish = 77
      pro.plan = .enterprise
      try await store.write { [pro] in try $0.save(pro) }
      let (id, expected) = (pro.id, pro)
      try await store.read { market throws in
        #expect(try market.account(id) == expected)
        #expect(try market.account(named: "pro") == expected)
        #expect(try market.account(named: "PRO") == nil)
        #expect(try market.account(maker.id()) == nil)
        #expect(try Set(market.accounts()) == [fixture.account, expected])
        #expect(try market.apiKeys() == [key])
      }
    }
  }

  @Test(arguments: Backend.all) func aKeyCanBeRevokedButNotGivenAway(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      var key = APIKeyRecord(hash: "aa", account: fixture.account.id, role: .client, createdAt: Maker.start)
      try await fixture.store.write { [key] in try $0.insert(key) }
      key.revokedAt = Maker.start + Seconds(5)
      try await fixture.store.write { [key] in try $0.insert(key) }
      #expect(try await fixture.store.read { try $0.apiKeys() } == [key])
      let stolen = APIKeyRecord(hash: "aa", account: fixture.account.id, role: .admin, createdAt: Maker.start)
      await #expect(throws: StoreError.self) { try await fixture.store.write { try $0.insert(stolen) } }
      #expect(try await fixture.store.read { try $0.apiKeys() } == [key])
    }
  }

  @Test(arguments: Backend.all) func aJobComesBackAsItWas(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker, account) = (fixture.store, fixture.maker, fixture.account.id)
      var specification = JobSpecification(runner: "process", command: ["a", "", "ü\u{0}x"])
      specification.name = ""
      specification.labels = ["k": "", "ключ": "v"]
      specification.payload = JSONObject([("n", .decimal("1e400")), ("s", .string("\u{1F600}"))])
      specification.constraints.gpu = "RTX 4090"
      specification.notBefore = Maker.start + Seconds(10)
      var job = Job(
        id: maker.id(), account: account, specification: specification, createdAt: Maker.start, attempt: 3,
        rerunOf: maker.id(), rerunReason: "again")
      try await store.write { [job] in try $0.insert(job) }
      let (id, inserted) = (job.id, job)
      let found = try await store.read { try $0.job(id) }
      #expect(found == inserted)
      let miner: MinerID = maker.id()
      try job.claim(by: miner, at: Maker.start + Seconds(1))
      try await Self.expectRoundTrip(job, store)
      try job.start(at: Maker.start + Seconds(2))
      _ = job.report(progress: 45, message: "epoch 3")
      try await Self.expectRoundTrip(job, store)
      _ = try job.requestCancel(reason: nil, grace: Seconds(7), at: Maker.start + Seconds(3))
      try await Self.expectRoundTrip(job, store)
      try job.end(
        .completed(exitCode: 0, result: ["x": [1, .null, true]]), backoff: Seconds(0), at: Maker.start + Seconds(4))
      job.settle(cost: Money(micros: -5), retention: .days(7))
      try await Self.expectRoundTrip(job, store)
      job.purgeResult(at: Maker.start + Seconds(9))
      try await Self.expectRoundTrip(job, store)
    }
  }

  private static func expectRoundTrip(_ job: Job, _ store: any MarketStore) async throws {
    let inside = try await store.write { market throws in
      try market.update(job)
      return try market.job(job.id)
    }
    #expect(inside == job)
    #expect(try await store.read { try $0.job(job.id) } == job)
  }

  @Test(arguments: Backend.all) func unknownAndRepeatedJobsAreErrors(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let job = fixture.maker.job(fixture.account.id)
      let store = fixture.store
      await #expect(throws: StoreError.self) { try await store.write { try $0.update(job) } }
      await #expect(throws: StoreError.self) {
        try await store.write { try $0.append(JobEvent(of: job, at: Maker.start)) }
      }
      try await fixture.insert([job])
      await #expect(throws: StoreError.self) { try await store.write { try $0.insert(job) } }
      let attempt = fixture.maker.attempt(of: job, miner: fixture.maker.id(), lease: "l")
      await #expect(throws: StoreError.self) { try await store.write { try $0.update(attempt) } }
      #expect(try await store.read { try $0.pendingCount(account: job.account) } == 1)
    }
  }

  @Test(arguments: Backend.all) func tries(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker) = (fixture.store, fixture.maker)
      let job = maker.job(fixture.account.id)
      try await fixture.insert([job])
      let miner: MinerID = maker.id()
      var first = maker.attempt(of: job, miner: miner, lease: "one")
      let second = maker.attempt(of: job, number: 2, miner: miner, lease: "two")
      try await store.write { [first] in
        try $0.insert(first)
        try $0.insert(second)
      }
      #expect(try await store.read { try $0.heldTries() } == [first, second])
      first.state = .failed
      first.startedAt = Maker.start + Seconds(1)
      first.endedAt = Maker.start + Seconds(2)
      first.exitCode = -9
      first.error = JobError(.signaled, "signal 9")
      first.usage = ["wall_ms": 1000]
      first.stdout = LogRecord(length: 0, sha256: "e3")
      first.stderr = LogRecord(length: 12, sha256: "ab")
      try await store.write { [first] in try $0.update(first) }
      let expected = first
      try await store.read { market throws in
        #expect(try market.tries(of: job.id) == [expected, second])
        #expect(try market.tryRecord(of: job.id, number: 1) == expected)
        #expect(try market.tryRecord(of: job.id, number: 3) == nil)
        #expect(try market.tryRecord(leaseHash: "one") == expected)
        #expect(try market.tryRecord(leaseHash: "three") == nil)
        #expect(try market.heldTries() == [second])
      }
      await #expect(throws: StoreError.self) {
        try await store.write { try $0.insert(maker.attempt(of: job, number: 3, miner: miner, lease: "one")) }
      }
    }
  }

  @Test(arguments: Backend.all) func miners(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let store = fixture.store
      var miner = fixture.maker.miner(fixture.account.id)
      miner.offer.gpus = [GPUDevice(name: "A100", memoryMiB: 81_920)]
      miner.offer.price = Money(micros: 25_000)
      try await store.write { [miner] in try $0.save(miner) }
      miner.isDraining = true
      miner.lastSeenAt = Maker.start + Seconds(30)
      miner.offer.slots = 5
      try await store.write { [miner] in try $0.save(miner) }
      let expected = miner
      try await store.read { market throws in
        #expect(try market.miner(expected.id) == expected)
        #expect(try market.miner(instanceHash: "instance") == expected)
        #expect(try market.miner(instanceHash: "other") == nil)
        #expect(try market.miners() == [expected])
      }
    }
  }

  @Test(arguments: Backend.all) func runKeysAndAttempts(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker, account) = (fixture.store, fixture.maker, fixture.account.id)
      let jobs = (1...3).map { number in maker.job(account, attempt: number) { $0.runKey = "k" } }
      try await fixture.insert(jobs + [maker.job(account), maker.job(account) { $0.runKey = "K" }])
      var key = RunKeyRecord(
        account: account, key: "k", specificationHash: "h", isStrict: false, latestJob: jobs[0].id, lastAttempt: 1)
      try await store.write { [key] in try $0.save(key) }
      key.isStrict = true
      key.latestJob = jobs[2].id
      key.lastAttempt = 3
      key.unlock = RunKeyUnlock(reason: nil, grantedAt: Maker.start, expiresAt: nil)
      try await store.write { [key] in try $0.save(key) }
      let expected = key
      try await store.read { market throws in
        #expect(try market.runKey(account: account, key: "k") == expected)
        #expect(try market.runKey(account: maker.id(), key: "k") == nil)
        let chain = AttemptChain.runKey("k", of: account)
        #expect(try market.attempts(chain, below: nil, limit: 9).map(\.id) == jobs.reversed().map(\.id))
        #expect(try market.attempts(chain, below: 3, limit: 1).map(\.id) == [jobs[1].id])
        #expect(try market.attempts(chain, below: 1, limit: 9).isEmpty)
        #expect(try market.attempts(.runKey("k", of: maker.id()), below: nil, limit: 9).isEmpty)
      }
    }
  }

  @Test(arguments: Backend.all) func idempotency(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, account) = (fixture.store, fixture.account.id)
      let answers = (0..<5).map { number in
        IdempotencyRecord(
          account: account, key: "k\(number)", requestHash: "h", status: 201, body: #"{"a":"\u0000"}"#,
          createdAt: Maker.start + Seconds(Int64(number)))
      }
      try await store.write { market in for answer in answers { try market.insert(answer) } }
      #expect(try await store.read { try $0.idempotency(account: account, key: "k3") } == answers[3])
      await #expect(throws: StoreError.self) { try await store.write { try $0.insert(answers[3]) } }
      // "Older than": the one of that very moment stays.
      #expect(try await store.write { try $0.removeIdempotency(before: Maker.start + Seconds(3), limit: 2) } == 2)
      #expect(try await store.write { try $0.removeIdempotency(before: Maker.start + Seconds(3), limit: 2) } == 1)
      #expect(try await store.write { try $0.removeIdempotency(before: Maker.start + Seconds(3), limit: 2) } == 0)
      #expect(try await store.read { try $0.idempotency(account: account, key: "k3") } == answers[3])
      #expect(try await store.read { try $0.idempotency(account: account, key: "k2") } == nil)
    }
  }

  @Test(arguments: Backend.all) func artifactsPackagesAndBlobs(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker) = (fixture.store, fixture.maker)
      let job = maker.job(fixture.account.id)
      try await fixture.insert([job])
      func artifact(_ path: String, _ size: Int64) -> ArtifactRecord {
        ArtifactRecord(job: job.id, tryNumber: 1, path: path, size: size, sha256: "s\(size)")
      }
      let records = [artifact("b/x", 1), artifact("a", 2), artifact("b/x", 3)]
      let package = PackageRecord(job: job.id, size: 9, sha256: "p", createdAt: Maker.start)
      let blob = BlobRecord(sha256: "bb", size: 4, createdAt: Maker.start)
      try await store.write { market throws in
        for record in records { try market.save(record) }
        try market.save(package)
        try market.save(blob)
      }
      try await store.read { market throws in
        #expect(try market.artifacts(of: job.id, tryNumber: 1) == [records[1], records[2]])
        #expect(try market.artifacts(of: job.id, tryNumber: 2).isEmpty)
        #expect(try market.artifact(of: job.id, tryNumber: 1, path: "b/x") == records[2])
        #expect(try market.artifact(of: job.id, tryNumber: 2, path: "b/x") == nil)
        #expect(try market.package(of: job.id) == package)
        #expect(try market.blob("bb") == blob)
        #expect(try market.blob("cc") == nil)
      }
      try await store.write { market throws in
        #expect(try market.removeArtifacts(of: job.id, limit: 100) > 0)
        try market.removePackage(of: job.id)
      }
      try await store.read { market throws in
        #expect(try market.artifacts(of: job.id, tryNumber: 1).isEmpty)
        #expect(try market.package(of: job.id) == nil)
        // The row stays.
        #expect(try market.job(job.id) == job)
      }
    }
  }

  @Test(arguments: Backend.all) func theLedgerKeepsWhatIsThere(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let id: JobID = fixture.maker.id()
      @Sendable func line(_ party: String, _ amount: Int64) -> LedgerLine {
        LedgerLine(job: id, kind: .charge, party: party, amount: Money(micros: amount), at: Maker.start)
      }
      try await fixture.store.write { try $0.post([line("a", -10), line("b", 10)]) }
      try await fixture.store.write { try $0.post([line("a", -20), line("b", 20)]) }
      // Neither half a posting nor one that does not sum to zero.
      for wrong in [[line("a", -20), line("b", 15), line("c", 5)], [line("c", 5)]] {
        await #expect(throws: StoreError.self) { try await fixture.store.write { try $0.post(wrong) } }
      }
      let lines = try await fixture.store.read { try $0.ledger(of: id) }
      #expect(lines == [line("a", -10), line("b", 10)])
      #expect(
        try await fixture.store.read { try $0.balance(of: "a") }
          == Balance(
            party: "a", amount: Money(micros: -10), lines: 1))
      #expect(try await fixture.store.read { try $0.balance(of: "c") } == Balance(party: "c", amount: .zero, lines: 0))
      #expect(try await fixture.store.read { try $0.ledger(of: fixture.maker.id()) }.isEmpty)
    }
  }
}
