import CSupervisor
import Clocks
import Foundation
import Logging
import Marketplace
import MarketplaceClient
import Testing
import Wire

@testable import Miner

/// A whole miner against ``FakeCoordinator``, with real processes.
struct MinerHarness {
  let coordinator = FakeCoordinator()
  let folder: TemporaryFolder
  let daemon: MinerDaemon
  private let running: Task<Void, any Error>

  static func start(
    _ change: (inout MinerConfiguration) throws -> Void = { _ in },
    behaviour: (inout FakeCoordinator.Behaviour) -> Void = { _ in }
  ) async throws -> MinerHarness {
    let harness = try MinerHarness(change, behaviour)
    try await eventually { harness.coordinator.hasWelcomed }
    return harness
  }

  init(
    _ change: (inout MinerConfiguration) throws -> Void, _ behaviour: (inout FakeCoordinator.Behaviour) -> Void
  ) throws {
    folder = try TemporaryFolder()
    var configuration = MinerConfiguration(
      url: .localDefault, apiKey: "mk", name: "test", version: "1", workDirectory: folder.path + "/miner")
    configuration.slots = 4
    configuration.sandbox = .none
    configuration.supervisorExecutable = try Zoo.program
    configuration.reconnect = Backoff(base: Seconds(milliseconds: 1), cap: Seconds(milliseconds: 20))
    configuration.stopGrace = Seconds(milliseconds: 200)
    try change(&configuration)
    var initial = coordinator.behaviour
    behaviour(&initial)
    coordinator.behaviour = initial
    var logger = Logger(label: "miner-test")
    logger.logLevel = .critical
    let daemon = MinerDaemon(
      configuration, clock: SystemClock(), logger: logger, connector: coordinator.connector,
      transfers: MinerDaemon.Transfers(destination: coordinator))
    self.daemon = daemon
    running = Task { try await daemon.run() }
  }

  /// Drains the miner and checks that nothing of any job is left on disk.
  func finish() async throws {
    daemon.terminate()
    try await running.value
    try expectClean()
  }

  /// How the daemon's run ended, without asking for it.
  func outcome() async -> Result<Void, any Error> { await running.result }

  func cancel() { running.cancel() }

  func expectClean() throws {
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/miner/jobs").isEmpty)
  }

  /// The settled report of a lease, when it comes.
  func report(_ lease: String) async throws -> TryReport {
    let coordinator = coordinator
    try await eventually { coordinator.report(of: lease) != nil }
    return try #require(coordinator.report(of: lease))
  }

  func said(_ predicate: @escaping @Sendable (MinerMessage) -> Bool) async throws {
    let coordinator = coordinator
    try await eventually { coordinator.messages.contains(where: predicate) }
  }

  /// Processes of jobs whose environment holds this variable.
  func processes(_ mark: String) -> Int { Int(aitbc_count_marked("MARK=\(mark)")) }
}

extension JobSpecification {
  /// `sh -c script`, with a variable by which its processes are found again.
  static func script(_ script: String, mark: String = "none") -> JobSpecification {
    var specification = JobSpecification(runner: "process", command: ["sh", "-c", script])
    specification.environment = [EnvironmentVariable(name: "MARK", value: mark)]
    return specification
  }

  static func zoo(_ arguments: String..., mark: String = "none") throws -> JobSpecification {
    var specification = JobSpecification(runner: "process", command: [try Zoo.program] + arguments)
    specification.environment = [EnvironmentVariable(name: "MARK", value: mark)]
    return specification
  }
}

/// A mark that no other test uses.
func uniqueMark() -> String { "mark-\(UInt64.random(in: .min ... .max))" }
