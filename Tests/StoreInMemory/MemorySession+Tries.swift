import Marketplace
import Store

/// Tries, and the files that they leave.
extension MemorySession {
  func tries(of job: JobID) throws -> [TryRecord] {
    (tables.tries[job] ?? []).map(\.value).sorted { $0.number < $1.number }
  }

  func tryRecord(of job: JobID, number: Int) throws -> TryRecord? {
    tables.tries[job]?.first { $0.value.number == number }?.value
  }

  func tryRecord(leaseHash: String) throws -> TryRecord? {
    guard let place = tables.leases[leaseHash] else { return nil }
    var found = try tryRecord(of: place.job, number: place.number)
    if sabotage.contains(.staleTokensAreLive) { found?.state = .held }
    return found
  }

  func heldTries() throws -> [TryRecord] {
    tables.held.compactMap { hash in
      tables.leases[hash].flatMap { place in
        tables.tries[place.job]?.first { $0.value.number == place.number }?.value
      }
    }.sorted { ($0.job, $0.number) < ($1.job, $1.number) }
  }

  func insert(_ attempt: TryRecord) throws {
    guard tables.leases[attempt.leaseHash] == nil, try tryRecord(of: attempt.job, number: attempt.number) == nil else {
      throw failed("try \(attempt.number) of \(attempt.job), or its lease, is there")
    }
    tables.tries[attempt.job, default: []].append(Row(attempt))
    tables.leases[attempt.leaseHash] = LeasePlace(job: attempt.job, number: attempt.number)
    note(attempt)
  }

  func update(_ attempt: TryRecord) throws {
    guard let index = tables.tries[attempt.job]?.firstIndex(where: { $0.value.number == attempt.number }) else {
      throw failed("no try \(attempt.number) of \(attempt.job)")
    }
    tables.tries[attempt.job]?[index] = Row(attempt)
    note(attempt)
  }

  private func note(_ attempt: TryRecord) {
    if attempt.state == .held {
      tables.held.insert(attempt.leaseHash)
    } else {
      tables.held.remove(attempt.leaseHash)
    }
    let length = max(attempt.stdout?.length ?? 0, attempt.stderr?.length ?? 0)
    if length > 0 { change(attempt.job) { $0.leftFiles = true } }
  }

  // MARK: Files

  func forEachArtifact(of job: JobID, tryNumber: Int, _ body: (ArtifactRecord) throws -> Void) throws {
    try (tables.artifacts[job] ?? []).filter { $0.tryNumber == tryNumber }.sorted { $0.path < $1.path }.forEach(body)
  }

  func save(_ artifact: ArtifactRecord) throws {
    tables.artifacts[artifact.job, default: []]
      .removeAll { $0.tryNumber == artifact.tryNumber && $0.path == artifact.path }
    tables.artifacts[artifact.job, default: []].append(artifact)
    change(artifact.job) { $0.leftFiles = true }
  }

  func artifact(of job: JobID, tryNumber: Int, path: String) throws -> ArtifactRecord? {
    tables.artifacts[job]?.first { $0.tryNumber == tryNumber && $0.path == path }
  }

  func removeArtifacts(of job: JobID, limit: Int) throws -> Int {
    let known = tables.artifacts[job] ?? []
    let left = Array(known.dropFirst(max(0, limit)))
    tables.artifacts[job] = left.isEmpty ? nil : left
    return known.count - left.count
  }

  func package(of job: JobID) throws -> PackageRecord? { tables.packages[job] }

  func save(_ package: PackageRecord) throws {
    tables.packages[package.job] = package
    change(package.job) { $0.isPackaged = true }
  }

  func removePackage(of job: JobID) throws {
    tables.packages[job] = nil
    change(job) { $0.isPackaged = false }
  }
}
