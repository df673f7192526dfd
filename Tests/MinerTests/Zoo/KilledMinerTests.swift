import CSupervisor
import Clocks
import Foundation
import Marketplace
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Miner

extension PayloadZooTests {
  @Test(arguments: Flavour.available)
  func `a process object that is dropped takes everything with it`(flavour: Flavour) async throws {
    let zoo = try Zoo.program
    let folder = try TemporaryFolder()
    let job = try JobDirectory.create(at: folder.path + "/job")
    var command = SupervisedCommand(
      arguments: [zoo, "tree"], environment: [(SupervisedCommand.markerName, job.marker)], directory: job.work)
    if flavour == .group { command.group = Flavour.groups?.group("dropped") }
    if flavour == .bubblewrap {
      command.sandbox = Bubblewrap(program: "/usr/bin/bwrap", launcher: zoo)
        .commandLine(for: Bubblewrap.Profile(writable: [job.work], temporary: job.temporary))
    }
    var process: SupervisedProcess? = try await SupervisedProcess.start(command, executable: zoo)
    let output = try #require(process).stdout
    var iterator = output.makeAsyncIterator()
    _ = try await iterator.next()
    let marker = SupervisedCommand.markerName + "=" + job.marker
    try await eventually { aitbc_count_marked(marker) >= 127 }
    process = nil
    // The end of the pipe comes when its last writer is dead.
    while try await iterator.next() != nil {}
    try await eventually { aitbc_count_marked(marker) == 0 }
  }

  @Test func `kill -9 of a miner ends what it started`() async throws {
    let zoo = try Zoo.program
    let marker = "killed-miner-\(UInt64.random(in: .min ... .max))"
    let (reading, writing) = try makePipe()
    let reader = try await PipeReader.open(Descriptor(owning: reading), on: .singletonMultiThreadedEventLoopGroup)
    let entry = "\(SupervisedCommand.markerName)=\(marker)"
    let miner = try startTool([zoo, "miner"], environment: [entry], output: writing)
    close(writing)
    var text = ""
    for try await chunk in reader {
      text += String(decoding: chunk.readableBytesView, as: UTF8.self)
      if text.hasSuffix("\n") { break }
    }
    reader.close()
    let supervisor = try #require(Int32(text.dropFirst("ready ".count).dropLast()))
    try await eventually { aitbc_count_marked(entry) >= 127 }

    kill(miner, SIGKILL)
    var status: Int32 = 0
    #expect(waitpid(miner, &status, 0) == miner)
    try await eventually { aitbc_count_marked(entry) == 0 && kill(supervisor, 0) == -1 }
  }

  /// The supervisor's own death: the main process dies with it, the rest is found by its marker.
  @Test(arguments: ["tree", "sessions", "ignore-term", "deaf-thread"])
  func `kill -9 of a supervisor ends what it supervised`(payload: String) async throws {
    let run = try await ZooRun.visit(["zoo", payload], in: .bare, act: { kill($0.supervisor, SIGKILL) })
    #expect(run.end.outcome == .supervisorLost)
  }

  /// A payload that throws its environment away, and with it the marker, can be found by nobody once its supervisor is
  /// dead, unless it is in a group.
  @Test(.enabled(if: Flavour.groups != nil, "no control groups of version 2 can be made here"))
  func `kill -9 of a supervisor ends even what hides, in a control group`() async throws {
    let groups = try #require(Flavour.groups)
    let procs = Mutex<[String]>([])
    let run = try await ZooRun.visit(
      ["zoo", "hide"], in: .group,
      act: { process in
        for name in (try? FileManager.default.contentsOfDirectory(atPath: groups.path)) ?? [] {
          let text = SmallSystemFile.read("\(groups.path)/\(name)/cgroup.procs")
          procs.withLock { $0 += text.split(separator: "\n").map(String.init) }
        }
        kill(process.supervisor, SIGKILL)
      })
    #expect(run.end.outcome == .supervisorLost)
    let members = procs.withLock { $0 }
    #expect(members.count >= 2)
    try await eventually { members.compactMap { Int32($0) }.allSatisfy { kill($0, 0) == -1 } }
  }
}

/// Waits until a condition that other processes bring about holds. Nothing tells when they do, so it looks; a minute at
/// most, which only a condition that never comes true takes.
func eventually(
  _ condition: @Sendable () -> Bool, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
  let clock = SystemClock()
  let deadline = clock.monotonic + Seconds(60)
  while !condition() {
    guard clock.monotonic < deadline else {
      Issue.record("the condition did not come true", sourceLocation: sourceLocation)
      return
    }
    try await clock.sleep(for: Seconds(milliseconds: 5))
  }
}
