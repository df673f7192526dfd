import Cryptography
import Foundation
import Marketplace
import ResultPackage
import Synchronization
import Testing

@testable import Coordinator
@testable import Store

/// The power goes at every step of packing. What a disk keeps then is worked out from what was done to it: bytes that
/// were not synced may be gone, and so may names of folders that were not synced, in any combination that a file system
/// allows.
struct PowerCutTests {
  enum Step: Hashable, Sendable {
    case file(FileOperation)
    /// The package's row is durable.
    case commit
  }

  /// A store that tells when a commit is durable.
  private struct TracingStore: MarketStore {
    let inner: any MarketStore
    let committed: @Sendable () -> Void
    var epoch: String { inner.epoch }

    func write<Value: Sendable>(
      _ body: @escaping @Sendable (any MarketTransaction) throws -> Value
    ) async throws -> Value {
      let value = try await inner.write(body)
      committed()
      return value
    }

    func read<Value: Sendable>(_ body: @escaping @Sendable (any MarketReader) throws -> Value) async throws -> Value {
      try await inner.read(body)
    }

    func setEventHandler(_ handler: @escaping @Sendable ([JobEvent]) -> Void) { inner.setEventHandler(handler) }
    func close() async throws {}
  }

  private func steps(of packed: PackedJob) async throws -> [Step] {
    let steps = Mutex<[Step]>([])
    try await FileTrace.observing({ operation in
      // Other tests of this process use files too.
      guard operation.paths.allSatisfy({ $0.hasPrefix(packed.folder + "/") }) else { return }
      steps.withLock { $0.append(.file(operation)) }
    }) {
      let store = TracingStore(inner: packed.store) { steps.withLock { $0.append(.commit) } }
      _ = try await packed.packager(store).package(of: packed.job.id)
    }
    return steps.withLock { $0 }
  }

  @Test func atEveryStepOfPacking() async throws {
    try await PackedJob.with(["a.txt": Array("artifact".utf8), "b/c.bin": [UInt8](repeating: 7, count: 2000)]) {
      packed in
      let before = packed.loose.map { packed.folder + "/" + $0 }
      #expect(before.count == 3)
      let steps = try await steps(of: packed)
      #expect(steps.filter { $0 == .commit }.count == 1)
      #expect(packed.loose.isEmpty)
      #expect(steps.contains { if case .file(.rename(_, packed.packagePath)) = $0 { true } else { false } })
      for count in 0...steps.count {
        for disk in Disk.outcomes(of: Array(steps[..<count]), existing: before) {
          Self.check(disk, committed: steps[..<count].contains(.commit), packed, before, "cut after \(count) steps")
        }
      }
    }
  }

  private static func check(
    _ disk: Disk, committed: Bool, _ packed: PackedJob, _ before: [String], _ place: Comment
  ) {
    if let file = disk.names[packed.packagePath] {
      #expect(disk.isWhole(file), "half a package has its name: \(place)")
    } else {
      #expect(!committed, "a package is recorded and not there: \(place)")
    }
    if !committed {
      for path in before { #expect(disk.names[path] != nil, "\(path) is gone before there is a package: \(place)") }
    }
  }

  /// The order is what makes it safe: each of these would be found.
  @Test func aWrongOrderIsFoundOut() {
    func faults(_ steps: [Step]) -> Bool {
      (0...steps.count).contains { count in
        Disk.outcomes(of: Array(steps[..<count]), existing: ["/d/artifact"]).contains { disk in
          let committed = steps[..<count].contains(.commit)
          if let file = disk.names["/d/p/package"], !disk.isWhole(file) { return true }
          return disk.names[committed ? "/d/p/package" : "/d/artifact"] == nil
        }
      }
    }
    let create = Step.file(.create("/d/tmp/x")), sync = Step.file(.sync("/d/tmp/x"))
    let write = Step.file(.write("/d/tmp/x"))
    let rename = Step.file(.rename(from: "/d/tmp/x", to: "/d/p/package")), folder = Step.file(.sync("/d/p"))
    let remove = Step.file(.remove("/d/artifact"))
    #expect(!faults([create, write, sync, rename, folder, .commit, remove]))
    #expect(faults([create, write, rename, sync, folder, .commit, remove]))
    #expect(faults([create, sync, write, rename, folder, .commit, remove]))
    #expect(faults([create, write, sync, rename, .commit, remove]))
    #expect(faults([create, write, sync, rename, folder, remove, .commit]))
  }

  /// A process that is killed leaves all that it did: packing again gives the same package.
  @Test func aKilledProcessPacksAgain() async throws {
    try await PackedJob.with(["a.txt": Array("artifact".utf8)]) { packed in
      // Killed between the name and the row.
      let first = await packed.packager(FailingStore(inner: packed.store)).packageOrNil(of: packed.job.id)
      #expect(first == nil && packed.loose.count == 2)
      let bytes = try Data(contentsOf: URL(filePath: packed.packagePath))
      let record = try await packed.packager().package(of: packed.job.id)
      #expect(try Data(contentsOf: URL(filePath: packed.packagePath)) == bytes)
      #expect(record.sha256 == SHA256.hash(bytes).hex && packed.loose.isEmpty)
    }
  }

  /// A database older than the files: the package is there, its row is not, and neither is what it was made of.
  @Test func aPackageWithoutItsRowIsTakenIn() async throws {
    try await PackedJob.with(["a.txt": Array("artifact".utf8)]) { packed in
      let record = try await packed.packager().package(of: packed.job.id)
      try await packed.store.write { [id = packed.job.id] in try $0.removePackage(of: id) }
      #expect(try await packed.packager().package(of: packed.job.id) == record)
      // A damaged one is not.
      try await packed.store.write { [id = packed.job.id] in try $0.removePackage(of: id) }
      var bytes = try Data(contentsOf: URL(filePath: packed.packagePath))
      bytes[bytes.count / 2] ^= 1
      try bytes.write(to: URL(filePath: packed.packagePath))
      await #expect(throws: StoreError.self) { try await packed.packager().package(of: packed.job.id) }
    }
  }

  private struct FailingStore: MarketStore {
    let inner: any MarketStore
    var epoch: String { inner.epoch }

    func write<Value: Sendable>(
      _ body: @escaping @Sendable (any MarketTransaction) throws -> Value
    ) async throws -> Value { throw StoreError.diskFull }

    func read<Value: Sendable>(_ body: @escaping @Sendable (any MarketReader) throws -> Value) async throws -> Value {
      try await inner.read(body)
    }

    func setEventHandler(_ handler: @escaping @Sendable ([JobEvent]) -> Void) {}
    func close() async throws {}
  }
}

extension Packager {
  func packageOrNil(of job: JobID) async -> PackageRecord? { try? await package(of: job) }
}

extension FileOperation {
  var paths: [String] {
    switch self {
    case .create(let path), .write(let path), .truncate(let path), .sync(let path), .remove(let path),
      .makeFolder(let path):
      [path]
    case .rename(let from, let to): [from, to]
    }
  }
}

/// What may be on a disk after a power cut.
struct Disk {
  /// Which file stands under a name; files are numbered as they were made.
  private(set) var names: [String: Int]
  private var unsynced: Set<Int> = []
  private var next = 0

  private init(_ existing: [String]) {
    names = Dictionary(existing.enumerated().map { ($1, -1 - $0) }, uniquingKeysWith: { $1 })
  }

  /// Whether all that was written to a file is on the disk.
  func isWhole(_ file: Int) -> Bool { !unsynced.contains(file) }

  /// A change of a folder's names that may be lost.
  private enum Change {
    case add(String, Int)
    case move(from: String, to: String, Int)
    case remove(String)

    var folder: String {
      switch self {
      case .add(let path, _), .move(_, let path, _), .remove(let path): POSIXFile.parent(of: path)
      }
    }
  }

  /// Every state that a disk can be in when the power goes after these steps: of the changes whose folders were not
  /// synced, each may have happened or not.
  static func outcomes(of steps: [PowerCutTests.Step], existing: [String]) -> [Disk] {
    var live = Disk(existing), durable = live
    var pending: [Change] = []
    for case .file(let operation) in steps {
      switch operation {
      case .create(let path):
        live.next += 1
        live.names[path] = live.next
        live.unsynced.insert(live.next)
        pending.append(.add(path, live.next))
      case .write(let path), .truncate(let path): if let file = live.names[path] { live.unsynced.insert(file) }
      case .sync(let path):
        if let file = live.names[path] { live.unsynced.remove(file) }
        for change in pending where change.folder == path { durable.apply(change) }
        pending.removeAll { $0.folder == path }
      case .rename(let from, let to):
        guard let file = live.names.removeValue(forKey: from) else { continue }
        live.names[to] = file
        pending.append(.move(from: from, to: to, file))
      case .remove(let path):
        live.names[path] = nil
        pending.append(.remove(path))
      case .makeFolder: break
      }
    }
    durable.unsynced = live.unsynced
    return (0..<1 << min(pending.count, 10)).map { choice in
      var disk = durable
      for (index, change) in pending.enumerated() where index >= 10 || choice >> index & 1 == 1 { disk.apply(change) }
      return disk
    }
  }

  private mutating func apply(_ change: Change) {
    switch change {
    case .add(let path, let file): names[path] = file
    case .move(let from, let to, let file):
      names[from] = nil
      names[to] = file
    case .remove(let path): names[path] = nil
    }
  }
}
