import Marketplace
import Store

/// Results that go, links to them, and inputs.
extension MemorySession {
  // MARK: Removal

  func purgeable(_ selection: PurgeSelection, after job: Job?, limit: Int) throws -> [Job] {
    let start = job.flatMap { job in job.completedAt.map { ($0, tables.jobs[job.id]?.value.key ?? 0) } }
    return ended.filter { item in
      let job = item.row.job
      return job.account == selection.account && job.resultPurgedAt == nil
        && (selection.before.map { item.at < $0 } ?? true) && (selection.after.map { item.at >= $0 } ?? true)
        && (selection.states.isEmpty || selection.states.contains(job.state))
        && (selection.runKey == nil || job.specification.runKey == selection.runKey)
        && (start.map { $0 < (item.at, item.row.key) } ?? true)
    }.prefix(max(0, limit)).map(\.row.job)
  }

  /// First ended first.
  private var ended: [(at: Timestamp, row: StoredJob)] {
    tables.jobs.values.compactMap { row in row.value.job.completedAt.map { (at: $0, row: row.value) } }
      .sorted { ($0.at, $0.row.key) < ($1.at, $1.row.key) }
  }

  func purging(after job: JobID?, limit: Int) throws -> [JobID] {
    Array(tables.purges.filter { id in job.map { $0 < id } ?? true }.sorted().prefix(max(0, limit)))
  }

  func isPurging(_ job: JobID) throws -> Bool { tables.purges.contains(job) }
  func insertPurge(_ job: JobID) throws { tables.purges.insert(job) }
  func removePurge(_ job: JobID) throws { tables.purges.remove(job) }

  // MARK: Longer retention

  func nextExtension() throws -> RetentionExtension? { tables.extensions.first }

  func completed(in extension: RetentionExtension, limit: Int) throws -> [(row: Int64, job: Job)] {
    let wanted = `extension`
    return ended.filter { item in
      item.row.job.account == wanted.account && item.at <= wanted.completedUntil
        && (wanted.completedAt, wanted.job) < (item.at, item.row.key)
    }.prefix(max(0, limit)).map { (row: $0.row.key, job: $0.row.job) }
  }

  func insertExtension(account: AccountID, retention: Seconds, completedUntil: Timestamp) throws {
    tables.extensions.append(
      RetentionExtension(
        key: tables.nextExtension, account: account, retention: retention, completedUntil: completedUntil,
        completedAt: completedUntil - retention, job: 0))
    tables.nextExtension += 1
  }

  func update(_ extension: RetentionExtension) throws {
    guard let index = tables.extensions.firstIndex(where: { $0.key == `extension`.key }) else { return }
    tables.extensions[index].completedAt = `extension`.completedAt
    tables.extensions[index].job = `extension`.job
  }

  func remove(_ extension: RetentionExtension) throws {
    tables.extensions.removeAll { $0.key == `extension`.key }
  }

  // MARK: Links

  func share(tokenHash: String) throws -> ShareRecord? { tables.shares.values.first { $0.tokenHash == tokenHash } }
  func share(_ id: ShareID) throws -> ShareRecord? { tables.shares[id] }

  func shares(of job: JobID) throws -> [ShareRecord] {
    tables.shares.values.filter { $0.job == job }.sorted { $0.id < $1.id }
  }

  func insert(_ share: ShareRecord) throws {
    guard try self.share(share.id) == nil, try self.share(tokenHash: share.tokenHash) == nil else {
      throw failed("share \(share.id) is there")
    }
    tables.shares[share.id] = share
  }

  func countDownload(of share: ShareID) throws { tables.shares[share]?.downloads += 1 }
  func remove(share: ShareID) throws { tables.shares[share] = nil }

  // MARK: Inputs

  func blob(_ sha256: String) throws -> BlobRecord? { tables.blobs[sha256] }
  func save(_ blob: BlobRecord) throws { tables.blobs[blob.sha256] = blob }
  func removeInputs(of job: JobID) throws { tables.inputs[job] = nil }

  func touch(blob sha256: String, at now: Timestamp) throws {
    guard let blob = tables.blobs[sha256], blob.usedAt < now else { return }
    tables.blobs[sha256] = BlobRecord(sha256: sha256, size: blob.size, createdAt: blob.createdAt, usedAt: now)
  }

  func unneededBlobs(usedBefore time: Timestamp, limit: Int) throws -> [String] {
    let needed = tables.inputs.values.reduce(into: Set<String>()) { $0.formUnion($1) }
    return tables.blobs.values.filter { $0.usedAt < time && !needed.contains($0.sha256) }
      .sorted { ($0.usedAt, $0.sha256) < ($1.usedAt, $1.sha256) }.prefix(max(0, limit)).map(\.sha256)
  }

  func isNeeded(blob sha256: String) throws -> Bool { tables.inputs.values.contains { $0.contains(sha256) } }

  func forget(blob sha256: String) throws {
    tables.blobs[sha256] = nil
    tables.blobRemovals.insert(sha256)
  }

  func blobRemovals(limit: Int) throws -> [String] { Array(tables.blobRemovals.sorted().prefix(max(0, limit))) }
  func removeBlobRemoval(_ sha256: String) throws { tables.blobRemovals.remove(sha256) }
}
