import GRDB
import Marketplace
import Testing

@testable import Store

/// A database of the first version gets its sums and references.
struct ResultMigrationTests {
  @Test func `what was there before is counted and referred to`() async throws {
    let fixture = try await Fixture()
    let blob = String(repeating: "a", count: 64)
    try await fixture.store.write { try $0.save(BlobRecord(sha256: blob, size: 3, createdAt: Maker.start)) }
    let jobs = [try await fixture.run(), try await fixture.run(), try await fixture.ended(inputs: [blob])]
    let package = PackageRecord(job: jobs[0].id, size: 70, sha256: "p", createdAt: Maker.start)
    try await fixture.store.write { try $0.save(package) }
    let account = fixture.account.id
    let before = try await fixture.store.read { try $0.totals(account: account) }
    #expect(before.completed == 2 && before.runTime == 4_000 && before.stored == 70 && before.spent > .zero)
    try await fixture.store.close()
    // Takes the fourth step and the fifth back, as if they had not been made.
    let path = fixture.folder.path + "/market.db"
    let queue = try DatabaseQueue(path: path)
    try await queue.write { database in
      try database.execute(
        sql: """
          DROP TABLE shares; DROP TABLE purges; DROP TABLE retention_extensions; DROP TABLE job_inputs;
          DROP TABLE blob_removals; DROP TABLE account_totals; DROP INDEX blobs_used;
          ALTER TABLE blobs DROP COLUMN used_at;
          ALTER TABLE packages ADD COLUMN manifest TEXT NOT NULL DEFAULT '';
          ALTER TABLE miners DROP COLUMN public_key; ALTER TABLE tries DROP COLUMN miner_key;
          ALTER TABLE tries DROP COLUMN miner_signature;
          DELETE FROM grdb_migrations WHERE identifier IN ('4', '5'); PRAGMA user_version = 3;
          """)
    }
    try queue.close()
    let store = try Backend.sqlite.make(fixture.folder, fixture.clock)
    try await store.read { market throws in
      #expect(try market.totals(account: account) == before)
      #expect(try market.isNeeded(blob: blob))
      #expect(try market.blob(blob)?.usedAt == Maker.start)
    }
    try await store.close()
  }
}
