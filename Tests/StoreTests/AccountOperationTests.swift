import Clocks
import Cryptography
import Marketplace
import Testing

@testable import Store

/// Accounts, plans and keys.
struct AccountOperationTests {
  private func key(
    _ secret: String, _ role: Role, in fixture: Fixture, at now: Timestamp = Maker.start
  ) async throws -> APIKeyRecord {
    let operation = KeyCreation(secret: secret, account: fixture.account.id, role: role, name: "n", now: now)
    return try await fixture.store.write { try operation.run(in: $0) }
  }

  private func revoke(_ id: String, in fixture: Fixture) async throws -> APIKeyRecord {
    let operation = KeyRevocation(id: id, now: fixture.clock.now)
    return try await fixture.store.write { try operation.run(in: $0) }
  }

  @Test func `a name is given once`() async throws {
    try await withFixture { fixture in
      let first = AccountCreation(name: "x", plan: .pro, newID: fixture.maker.id(), now: Maker.start)
      let account = try await fixture.store.write { try first.run(in: $0) }
      #expect(account.plan == .pro)
      let second = AccountCreation(name: "x", plan: .free, newID: fixture.maker.id(), now: Maker.start)
      await #expect(throws: MarketError.nameTaken("x")) { try await fixture.store.write { try second.run(in: $0) } }
      for reference in ["x", account.id.rawValue] {
        #expect(try await fixture.store.read { try $0.account(reference: reference) } == account)
      }
      #expect(try await fixture.store.read { try $0.accounts() }.count == 2)
    }
  }

  @Test(
    arguments: [(.free, .pro), (.pro, .enterprise), (.pro, .free), (.free, .free)] as [(Plan, Plan)])
  func `a plan is changed`(from: Plan, to: Plan) async throws {
    try await withFixture { fixture in
      let account = fixture.maker.account("x", plan: from)
      try await fixture.store.write { try $0.save(account) }
      let now = fixture.clock.now
      let changed = try await fixture.store.write {
        try PlanChange(account: account.id, plan: to, now: now).run(in: $0)
      }
      #expect(changed.plan == to)
      #expect(try await fixture.store.read { try $0.account(account.id) }?.plan == to)
      let unknown: AccountID = fixture.maker.id()
      await #expect(throws: MarketError.accountNotFound) {
        try await fixture.store.write { try PlanChange(account: unknown, plan: to, now: now).run(in: $0) }
      }
    }
  }

  @Test func `a key is stored as its hash`() async throws {
    try await withFixture { fixture in
      let made = try await key("ak_secret", .miner, in: fixture)
      #expect(made.hash == SHA256.hash("ak_secret".utf8).hex)
      #expect(made.id == "key_" + made.hash.prefix(16))
      #expect(try await fixture.store.read { try $0.apiKeys() } == [made])
      let nobody = KeyCreation(
        secret: "s", account: fixture.maker.id(), role: .client, name: nil, now: Maker.start)
      await #expect(throws: MarketError.accountNotFound) {
        try await fixture.store.write { try nobody.run(in: $0) }
      }
    }
  }

  @Test func `a key is revoked once and stays revoked`() async throws {
    try await withFixture { fixture in
      let made = try await key("ak_1", .client, in: fixture)
      let revoked = try await revoke(made.id, in: fixture)
      #expect(revoked.revokedAt == fixture.clock.now && revoked.name == "n")
      fixture.clock.advance(by: Seconds(5))
      #expect(try await revoke(made.id, in: fixture) == revoked)
      await #expect(throws: MarketError.keyNotFound) { try await revoke("key_0", in: fixture) }
      // A prefix, or the hash itself, is no id.
      await #expect(throws: MarketError.keyNotFound) { try await revoke(made.hash, in: fixture) }
    }
  }

  @Test func `the last admin key stays`() async throws {
    try await withFixture { fixture in
      let first = try await key("ak_1", .admin, in: fixture)
      await #expect(throws: MarketError.lastAdminKey) { try await revoke(first.id, in: fixture) }
      let second = try await key("ak_2", .admin, in: fixture)
      _ = try await revoke(first.id, in: fixture)
      await #expect(throws: MarketError.lastAdminKey) { try await revoke(second.id, in: fixture) }
      #expect(try await fixture.store.read { try $0.apiKeys() }.filter { $0.revokedAt == nil } == [second])
    }
  }
}
