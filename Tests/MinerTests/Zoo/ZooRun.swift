import CSupervisor
import Foundation
import Marketplace
import NIOCore
import Testing

@testable import Miner

/// One visit to the zoo, from the job's folder to its removal, with everything that must hold after any payload.
struct ZooRun {
  var end: ProcessEnd
  var stdout: [UInt8]
  var stderr: [UInt8]

  var text: String { String(decoding: stdout, as: UTF8.self) }

  /// Runs `arguments` as a payload ("zoo" stands for the zoo's program).
  ///
  /// - Parameters:
  ///   - prepare: Changes the command or the folder before the start.
  ///   - act: Called when the payload has said "ready".
  static func visit(
    _ arguments: [String], in flavour: Flavour,
    prepare: (inout SupervisedCommand, JobDirectory) throws -> Void = { _, _ in },
    act: @escaping @Sendable (SupervisedProcess) -> Void = { _ in }
  ) async throws -> ZooRun {
    let zoo = try Zoo.program
    let folder = try TemporaryFolder()
    let job = try JobDirectory.create(at: folder.path + "/job")
    let pipes = folder.path + "/pipes"
    var command = SupervisedCommand(
      arguments: arguments.map { $0 == "zoo" ? zoo : $0 },
      environment: [
        ("PATH", "/usr/bin:/bin"), ("TMPDIR", flavour == .bubblewrap ? "/tmp" : job.temporary),
        (SupervisedCommand.markerName, job.marker),
      ],
      directory: job.work)
    command.label = pipes
    // No test waits longer than this, whatever is broken.
    command.timeout = Seconds(60)
    command.timeoutGrace = Seconds(1)
    if flavour == .group { command.group = Flavour.groups?.group(String(job.marker.prefix(16))) }
    if flavour == .bubblewrap {
      let profile = Bubblewrap.Profile(
        writable: [job.work, job.output, job.progress], temporary: job.temporary)
      command.sandbox = Bubblewrap(program: "/usr/bin/bwrap", launcher: zoo).commandLine(for: profile)
    }
    try prepare(&command, job)

    var process: SupervisedProcess? = try await SupervisedProcess.start(command, executable: zoo)
    let supervisor = process?.supervisor ?? -1
    let run = try await follow(try #require(process), act: act)
    process = nil

    #expect(aitbc_count_marked(SupervisedCommand.markerName + "=" + job.marker) == 0, "a process is left")
    #expect(kill(supervisor, 0) == -1 && errno == ESRCH, "the supervisor is a zombie")
    if let group = command.group { #expect(access(group.path, F_OK) == -1, "the control group is left") }
    try expectNoLeak(of: pipes)
    try job.remove()
    #expect(access(job.path, F_OK) == -1)
    return run
  }

  private static func follow(
    _ process: SupervisedProcess, act: @escaping @Sendable (SupervisedProcess) -> Void
  ) async throws -> ZooRun {
    async let errors = collect(process.stderr)
    let output = try await collect(process.stdout) { act(process) }
    // Both log pipes reach their end by themselves: nothing holds them.
    return ZooRun(end: await process.end, stdout: output, stderr: try await errors)
  }

  private static func collect(_ pipe: PipeReader, ready: () -> Void = {}) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    var isReady = false
    for try await chunk in pipe {
      bytes += chunk.readableBytesView
      if !isReady, String(decoding: bytes.prefix(64), as: UTF8.self).contains("ready\n") {
        isReady = true
        ready()
      }
    }
    return bytes
  }

  /// None of the pipes that the supervisor had the other ends of is still open here.
  private static func expectNoLeak(of file: String) throws {
    let names = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map(String.init)
    let pipes = Set(names.filter { $0.hasPrefix("pipe:") })
    #expect(pipes.count == 3)
    let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
      .compactMap { FilePathFacts.linkTarget("/proc/self/fd/" + $0) }
    #expect(pipes.isDisjoint(with: open), "a pipe is still open")
    #expect(!open.contains { $0.hasPrefix("/memfd:aitbc-configuration") })
  }
}
