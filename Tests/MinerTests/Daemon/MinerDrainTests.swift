import Cryptography
import Foundation
import Marketplace
import MarketplaceClient
import Testing
import Wire

@testable import Miner

/// Told to go once, twice, three times; with a coordinator and without.
extension MinerDaemonTests {
  @Test func `renewals go on during a drain that is longer than the lease`() async throws {
    let miner = try await MinerHarness.start(behaviour: { $0.leaseMilliseconds = 1_000 })
    let flag = miner.folder.path + "/go"
    let lease = miner.coordinator.assign(.script("until test -e \(flag); do sleep 0.01; done; echo finished"))
    try await miner.said { if case .started = $0 { true } else { false } }
    miner.daemon.terminate()
    try await miner.said { $0 == .drain }
    // Three leases long.
    let renewals = miner.coordinator.renewals
    try await eventually { [coordinator = miner.coordinator] in coordinator.renewals > renewals + 60 }
    try Data().write(to: URL(filePath: flag))
    #expect(try await miner.report(lease).error == nil)
    #expect(miner.coordinator.text(lease) == "finished\n")
    try await miner.outcome().get()
    try miner.expectClean()
  }

  @Test func `draining gives back what has not started, and only that`() async throws {
    let miner = try await MinerHarness.start { $0.url = try CoordinatorURL("http://127.0.0.1:1") }
    let flag = miner.folder.path + "/go"
    let running = miner.coordinator.assign(.script("until test -e \(flag); do sleep 0.01; done"))
    try await miner.said { if case .started(running) = $0 { true } else { false } }
    var waiting = JobSpecification.script("true")
    waiting.inputs = [JobInputFile(path: "f", sha256: SHA256.hash([1]).hex, isExecutable: false)]
    let preparing = miner.coordinator.assign(waiting)
    try await miner.said { $0 == .accept(lease: preparing) }
    miner.daemon.terminate()
    try await miner.said { if case .refuse(preparing, _) = $0 { true } else { false } }
    #expect(!miner.coordinator.messages.contains { if case .refuse(running, _) = $0 { true } else { false } })
    try Data().write(to: URL(filePath: flag))
    #expect(try await miner.report(running).error == nil)
    try await miner.outcome().get()
    try miner.expectClean()
  }

  @Test func `draining with a coordinator that is gone keeps results for lease and patience, then names them`()
    async throws
  {
    let miner = try await MinerHarness.start({ $0.drainTimeout = Seconds(milliseconds: 400) }) {
      $0.leaseMilliseconds = 2_000
    }
    let flag = miner.folder.path + "/go"
    let lease = miner.coordinator.assign(.script("echo one; until test -e \(flag); do sleep 0.01; done; echo two"))
    try await eventually { [coordinator = miner.coordinator] in coordinator.text(lease) == "one\n" }
    miner.coordinator.behaviour.isAway = true
    miner.coordinator.cut()
    let start = ContinuousClock.now
    try Data().write(to: URL(filePath: flag))
    miner.daemon.terminate()
    let outcome = await miner.outcome()
    // The lease was renewed just before.
    let elapsed = ContinuousClock.now - start
    #expect(elapsed > .milliseconds(2_200) && elapsed < .seconds(15), "\(elapsed)")
    let left = #expect(throws: UndeliveredResults.self) { try outcome.get() }
    let folder = try #require(left?.folders.first)
    #expect(left?.folders.count == 1)
    #expect(try String(contentsOfFile: folder + "/stdout.log", encoding: .utf8) == "one\ntwo\n")
    // The next start clears it.
    let next = try await MinerHarness.start { $0.workDirectory = miner.folder.path + "/miner" }
    #expect(!FileManager.default.fileExists(atPath: folder))
    next.daemon.terminate()
    try await next.outcome().get()
  }

  @Test func `a coordinator that is back within the patience gets the result`() async throws {
    let miner = try await MinerHarness.start()
    let flag = miner.folder.path + "/go"
    let lease = miner.coordinator.assign(.script("until test -e \(flag); do sleep 0.01; done"))
    try await miner.said { if case .started = $0 { true } else { false } }
    miner.coordinator.behaviour.isAway = true
    miner.coordinator.cut()
    miner.daemon.terminate()
    try Data().write(to: URL(filePath: flag))
    miner.coordinator.behaviour.isAway = false
    #expect(try await miner.report(lease).error == nil)
    try await miner.outcome().get()
    try miner.expectClean()
  }

  @Test func `told twice without a coordinator it waits for its jobs' ends and no longer`() async throws {
    let miner = try await MinerHarness.start { $0.leavePatience = Seconds(60) }
    let mark = uniqueMark()
    miner.coordinator.assign(try .zoo("ignore-term", mark: mark))
    try await eventually { miner.processes(mark) == 1 }
    miner.coordinator.behaviour.isAway = true
    miner.coordinator.cut()
    miner.daemon.terminate()
    let start = ContinuousClock.now
    miner.daemon.terminate()
    try await miner.outcome().get()
    #expect(ContinuousClock.now - start < .seconds(30))
    #expect(miner.processes(mark) == 0)
    try miner.expectClean()
  }

  @Test func `told three times it leaves at once`() async throws {
    let miner = try await MinerHarness.start { $0.stopGrace = Seconds(600) }
    let mark = uniqueMark()
    miner.coordinator.assign(try .zoo("ignore-term", mark: mark))
    try await eventually { miner.processes(mark) == 1 }
    for _ in 0..<3 { miner.daemon.terminate() }
    let start = ContinuousClock.now
    try await miner.outcome().get()
    #expect(ContinuousClock.now - start < .seconds(30))
    #expect(miner.processes(mark) == 0)
    try miner.expectClean()
  }
}
