import Foundation
import JSON
import Marketplace
import Testing
import Wire

@testable import Miner

extension MinerDaemonTests {
  @Test func `a job goes on while the coordinator is away, and its result is delivered after`() async throws {
    let miner = try await MinerHarness.start()
    let flag = miner.folder.path + "/go"
    let lease = miner.coordinator.assign(
      .script("echo one; until test -e \(flag); do sleep 0.01; done; echo two; echo r > $AITBC_OUTPUT_DIR/r"))
    try await eventually { [coordinator = miner.coordinator] in coordinator.text(lease) == "one\n" }
    miner.coordinator.behaviour.isAway = true
    miner.coordinator.cut()
    try Data().write(to: URL(filePath: flag))
    // It ends, and has nobody to tell.
    let jobs = miner.folder.path + "/miner/jobs"
    try await eventually {
      let name = (try? FileManager.default.contentsOfDirectory(atPath: jobs))?.first ?? ""
      return (try? String(contentsOfFile: "\(jobs)/\(name)/stdout.log", encoding: .utf8)) == "one\ntwo\n"
    }
    #expect(miner.coordinator.report(of: lease) == nil)
    miner.coordinator.behaviour.isAway = false
    let report = try await miner.report(lease)
    #expect(report.error == nil && report.artifacts.map(\.path) == ["r"])
    #expect(miner.coordinator.text(lease) == "one\ntwo\n")
    let hellos = miner.coordinator.messages.compactMap { if case .hello(let hello) = $0 { hello } else { nil } }
    #expect(hellos.first?.isFresh == true && hellos.first?.held.isEmpty == true)
    #expect(hellos.last?.isFresh == false && hellos.last?.held == [HeldLease(lease: lease, isStarted: true)])
    #expect(Set(hellos.map(\.instance)).count == 1)
    try await miner.finish()
  }

  @Test func `a report is repeated over new connections until it is settled`() async throws {
    let miner = try await MinerHarness.start(behaviour: { $0.settles = false })
    let lease = miner.coordinator.assign(.script("echo x"))
    let quick = miner.coordinator.assign(JobSpecification(runner: "noop"))
    for count in 1...3 {
      try await eventually { [coordinator = miner.coordinator] in
        func reports(_ wanted: String) -> Int {
          coordinator.messages.count { if case .done(let report) = $0 { report.lease == wanted } else { false } }
        }
        return reports(lease) >= count && reports(quick) >= count
      }
      if count == 3 { miner.coordinator.behaviour.settles = true }
      miner.coordinator.cut()
    }
    #expect(try await miner.report(lease).error == nil)
    #expect(try await miner.report(quick).error == nil)
    // Each says anew how long ago the program ended; what ends at once has no age.
    let ages = miner.coordinator.messages.compactMap { message -> Int64?? in
      if case .done(let report) = message, report.lease == lease { report.endedAgo?.milliseconds } else { nil }
    }
    #expect(ages.count >= 3 && !ages.contains(nil) && ages.compactMap(\.self) == ages.compactMap(\.self).sorted())
    #expect(try await miner.report(quick).endedAgo == nil)
    try await miner.finish()
  }

  @Test func `log bytes that were not kept and reports that lack something are sent again`() async throws {
    let miner = try await MinerHarness.start(behaviour: {
      $0.keepsLogs = false
      $0.incompleteReports = 3
    })
    let lease = miner.coordinator.assign(.script("echo kept; echo r > $AITBC_OUTPUT_DIR/r"))
    try await miner.said { if case .started = $0 { true } else { false } }
    miner.coordinator.behaviour.keepsLogs = true
    #expect(try await miner.report(lease).error == nil)
    #expect(miner.coordinator.text(lease) == "kept\n")
    try await miner.finish()
  }

  /// A coordinator's disk that stays full for longer than any number of repeats costs no result.
  @Test func `log bytes that are not kept for long cost no result`() async throws {
    let miner = try await MinerHarness.start(behaviour: {
      $0.keepsLogs = false
      $0.heartbeat = Seconds(milliseconds: 10)
    })
    let lease = miner.coordinator.assign(.script("echo kept; echo r > $AITBC_OUTPUT_DIR/r"))
    try await eventually { [coordinator = miner.coordinator] in coordinator.artifacts["\(lease)/r"] != nil }
    let renewals = miner.coordinator.renewals
    try await eventually { [coordinator = miner.coordinator] in
      coordinator.renewals > renewals + 3 * TryMachine.maximumRepeats
    }
    #expect(miner.coordinator.report(of: lease) == nil)
    miner.coordinator.behaviour.keepsLogs = true
    #expect(try await miner.report(lease).error == nil)
    #expect(miner.coordinator.text(lease) == "kept\n")
    try await miner.finish()
  }

  @Test func `what a result can't hold is told in the job's own log`() async throws {
    let miner = try await MinerHarness.start()
    let lease = miner.coordinator.assign(
      .script("echo mine >&2; cd $AITBC_OUTPUT_DIR; echo a > a; ln -s a link; printf x > 'new\nline'"))
    let report = try await miner.report(lease)
    #expect(report.error == nil && report.artifacts.map(\.path) == ["a"])
    #expect(
      miner.coordinator.text(lease, .stderr) == """
        mine
        aitbc: artifact left out: link: it is a symbolic link
        aitbc: artifact left out: new\\x0aline: control character 10 at byte 3

        """)
    try await miner.finish()
  }

  @Test func `a lease that is lost ends the payload at once, and nothing is reported`() async throws {
    let miner = try await MinerHarness.start()
    let mark = uniqueMark()
    let lease = miner.coordinator.assign(try .zoo("tree", mark: mark))
    try await eventually { miner.processes(mark) >= 127 }
    miner.coordinator.send(.leases(renewed: [:], lost: [lease]))
    try await eventually { miner.processes(mark) == 0 }
    try await eventually { (try? miner.expectCleanNow()) == true }
    #expect(!miner.coordinator.messages.contains { if case .failed = $0 { true } else { false } })
    try await miner.finish()
  }

  @Test func `leases that a new connection calls lost are ended too`() async throws {
    let miner = try await MinerHarness.start()
    let mark = uniqueMark()
    let lease = miner.coordinator.assign(try .zoo("ignore-term", mark: mark))
    try await eventually { miner.processes(mark) == 1 }
    miner.coordinator.behaviour.lost = [lease]
    miner.coordinator.cut()
    try await eventually { miner.processes(mark) == 0 }
    try await miner.finish()
  }

  /// The guarantee that no job runs twice at once stands on this.
  @Test func `without renewals the payload is gone before its lease is over`() async throws {
    let miner = try await MinerHarness.start(behaviour: {
      $0.leaseMilliseconds = 4_000
      $0.answersRenewals = false
    })
    let mark = uniqueMark()
    let start = ContinuousClock.now
    let lease = miner.coordinator.assign(try .zoo("ignore-term", mark: mark))
    try await eventually { miner.processes(mark) == 1 }
    try await eventually { miner.processes(mark) == 0 }
    let elapsed = ContinuousClock.now - start
    #expect(elapsed >= .milliseconds(2_900) && elapsed < .milliseconds(4_000), "\(elapsed)")
    // Still connected: the coordinator is told, so that it need not wait for the end of the lease.
    #expect(try await miner.report(lease).error?.code == .minerError)
    try await miner.finish()
  }

  @Test func `with renewals a job outlives many leases`() async throws {
    let miner = try await MinerHarness.start(behaviour: { $0.leaseMilliseconds = 2_000 })
    let lease = miner.coordinator.assign(.script("sleep 4.5; echo survived"))
    #expect(try await miner.report(lease).error == nil)
    #expect(miner.coordinator.text(lease) == "survived\n")
    try await miner.finish()
  }

  @Test func `draining finishes what runs and takes nothing new`() async throws {
    let miner = try await MinerHarness.start()
    let flag = miner.folder.path + "/go"
    let lease = miner.coordinator.assign(.script("until test -e \(flag); do sleep 0.01; done; echo finished"))
    try await miner.said { if case .started = $0 { true } else { false } }
    miner.daemon.terminate()
    try await miner.said { $0 == .drain }
    let late = miner.coordinator.assign(.script("true"))
    try await miner.said { if case .refuse(late, _) = $0 { true } else { false } }
    // Also over a new connection, and renewals go on.
    miner.coordinator.cut()
    try Data().write(to: URL(filePath: flag))
    #expect(try await miner.report(lease).error == nil)
    #expect(miner.coordinator.text(lease) == "finished\n")
    try await miner.outcome().get()
    try miner.expectClean()
  }

  @Test func `told twice it ends its jobs, reports and leaves`() async throws {
    let miner = try await MinerHarness.start()
    let mark = uniqueMark()
    let lease = miner.coordinator.assign(try .zoo("tree", mark: mark))
    try await eventually { miner.processes(mark) >= 127 }
    miner.daemon.terminate()
    miner.daemon.terminate()
    try await miner.outcome().get()
    #expect(miner.processes(mark) == 0)
    #expect(miner.coordinator.report(of: lease)?.error?.code == .canceled)
    try miner.expectClean()
  }

  @Test func `told twice with nobody to report to it leaves all the same`() async throws {
    let miner = try await MinerHarness.start({ $0.leavePatience = Seconds(milliseconds: 100) })
    let mark = uniqueMark()
    miner.coordinator.assign(try .zoo("ignore-term", mark: mark))
    try await eventually { miner.processes(mark) == 1 }
    miner.coordinator.behaviour.isAway = true
    miner.coordinator.cut()
    miner.daemon.terminate()
    miner.daemon.terminate()
    try await miner.outcome().get()
    #expect(miner.processes(mark) == 0)
    try miner.expectClean()
  }

  @Test func `a miner whose task is canceled leaves nothing`() async throws {
    let miner = try await MinerHarness.start()
    let mark = uniqueMark()
    miner.coordinator.assign(try .zoo("tree", mark: mark))
    try await eventually { miner.processes(mark) >= 127 }
    miner.cancel()
    _ = await miner.outcome()
    #expect(miner.processes(mark) == 0)
    try miner.expectClean()
  }

  @Test func `a close code that forbids coming back ends the miner`() async throws {
    let miner = try await MinerHarness.start()
    miner.coordinator.connection?.end(ChannelEnd(code: 4510, reason: "replaced"))
    let outcome = await miner.outcome()
    #expect(throws: ChannelRefused.self) { try outcome.get() }
    #expect(miner.coordinator.connectionCount == 1)
  }

  @Test func `draining an idle miner ends it at once, also when it never connected`() async throws {
    let idle = try await MinerHarness.start()
    try await idle.finish()
    let lonely = try MinerHarness({ _ in }, { $0.isAway = true })
    try await lonely.finish()
  }

  @Test func `jobs that crash in numbers leave no folder and no process`() async throws {
    let miner = try await MinerHarness.start { $0.slots = 8 }
    let mark = uniqueMark()
    var waiting: [String] = []
    for index in 0..<60 {
      let kinds = [["raise", "11"], ["double-fork"], ["daemon"], ["exit", "1"], ["zombies"]]
      var specification = try JobSpecification.zoo(mark: mark)
      specification.command += kinds[index % kinds.count]
      waiting.append(miner.coordinator.assign(specification))
      if waiting.count == 8 {
        for lease in waiting { _ = try await miner.report(lease) }
        waiting = []
      }
    }
    for lease in waiting { _ = try await miner.report(lease) }
    #expect(miner.processes(mark) == 0)
    try await miner.finish()
  }
}

extension MinerHarness {
  func expectCleanNow() throws -> Bool {
    try FileManager.default.contentsOfDirectory(atPath: folder.path + "/miner/jobs").isEmpty
  }
}
