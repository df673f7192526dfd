import CSupervisor
import Clocks
import Foundation
import Marketplace
import NIOCore
import NIOPosix
import Testing
import Wire

@testable import Miner

@Suite("Supervised commands")
struct SupervisedCommandTests {
  @Test func `what no program can be started with is refused`() {
    func refusal(_ change: (inout SupervisedCommand) -> Void) -> String? {
      var command = SupervisedCommand(arguments: ["true"], environment: [], directory: "/")
      change(&command)
      do {
        _ = try command.encoded()
        return nil
      } catch {
        return error.description
      }
    }
    #expect(refusal { _ in } == nil)
    #expect(refusal { $0.arguments = [] } != nil)
    #expect(refusal { $0.arguments = [""] } != nil)
    #expect(refusal { $0.arguments = ["a", "b\0c"] }?.hasPrefix("command") == true)
    #expect(refusal { $0.environment = [("A=B", "c")] }?.hasPrefix("env") == true)
    #expect(refusal { $0.environment = [("", "c")] } != nil)
    #expect(refusal { $0.environment = [("A", "c\0")] } != nil)
    #expect(refusal { $0.directory = "/a\0b" } != nil)
    #expect(refusal { $0.arguments = ["a", String(repeating: "x", count: 8 << 20)] } != nil)
    #expect(refusal { $0.arguments = Array(repeating: "a", count: 65_536) } != nil)
    #expect(refusal { $0.arguments = Array(repeating: "a", count: 65_000) } == nil)
  }

  @Test func `the status line is read whole or not at all`() throws {
    let line =
      "ended outcome=exited value=3 stage=none wall_ms=10 user_ms=5 system_ms=2 max_rss_kib=900 strays=4 timed_out=1 "
      + "terminated=1 killed=0 oom=0"
    let end = try #require(ProcessEnd(statusLine: line))
    #expect(end.outcome == .exited(code: 3))
    #expect(
      end.usage
        == Usage(wallMilliseconds: 10, userMilliseconds: 5, systemMilliseconds: 2, maximumResidentKiB: 900))
    #expect(end.strays == 4 && end.timedOut && end.terminated && !end.killed && !end.memoryRanOut)
    #expect(
      ProcessEnd(statusLine: "ended outcome=launch-failed value=2 stage=exec")?.outcome
        == .launchFailed(stage: .exec, code: 2))
    for bad in ["", "started", "ended", "ended outcome=exited", "ended outcome=odd value=1", "ended outcome value=1"] {
      #expect(ProcessEnd(statusLine: bad) == nil)
    }
  }

  @Test func `a supervisor that is no supervisor is told`() async throws {
    let command = SupervisedCommand(arguments: ["true"], environment: [], directory: "/")
    await #expect(throws: (any Error).self) {
      try await SupervisedProcess.start(command, executable: "/nowhere/at/all")
    }
    let process = try await SupervisedProcess.start(command, executable: "/bin/true")
    #expect(await process.started == false)
    #expect(await process.end == ProcessEnd(.supervisorLost))
    // Signals to what is gone are harmless.
    process.terminate(grace: Seconds(1))
    process.kill()
  }

  @Test func `the end is told also to those who never read the output, and no more than a pipe was taken`() async throws
  {
    var command = SupervisedCommand(
      arguments: [try Zoo.program, "print", "100000000000", "x"], environment: [], directory: "/")
    command.timeout = Seconds(milliseconds: 300)
    let process = try await SupervisedProcess.start(command, executable: try Zoo.program)
    #expect(await process.started)
    let end = await process.end
    #expect(end.timedOut && end.outcome == .signaled(number: 15))
    var count = 0
    for try await chunk in process.stdout { count += chunk.readableBytes }
    // What the pipe held, and nothing that was read ahead.
    #expect(count > 0 && count <= 65_536 + PipeReader.chunkBytes)
  }

  /// Nobody here does anything any more, as when this process is stopped: the supervisor ends the program by itself.
  @Test func `a program is ended at its fence, and a later one replaces an earlier`() async throws {
    let zoo = try Zoo.program
    let mark = uniqueMark()
    let command = SupervisedCommand(
      arguments: [zoo, "ignore-term"], environment: [("MARK", mark)], directory: "/")
    let process = try await SupervisedProcess.start(command, executable: zoo)
    #expect(await process.started)
    let clock = SystemClock()
    let begin = clock.monotonic
    process.fence(at: begin + Seconds(milliseconds: 150))
    process.fence(at: begin + Seconds(milliseconds: 400))
    // What was overtaken shortens nothing.
    process.fence(at: begin + Seconds(milliseconds: 10))
    let end = await process.end
    #expect(end.fenced && end.killed && end.outcome == .signaled(number: 9))
    #expect(clock.monotonic >= begin + Seconds(milliseconds: 400))
    let result = end.result(program: "x", timeout: Seconds(1), stopped: nil)
    #expect(result.wasStopped)
    // Another try may go better.
    guard case .failed(let error) = result.outcome else {
      Issue.record("it did not fail")
      return
    }
    #expect(error.code == .minerError)
  }

  @Test func `nothing is started after its fence`() async throws {
    let zoo = try Zoo.program
    var command = SupervisedCommand(arguments: [zoo, "print", "1", "x"], environment: [], directory: "/")
    command.fence = SystemClock().monotonic
    let process = try await SupervisedProcess.start(command, executable: zoo)
    #expect(await process.started == false)
    let end = await process.end
    #expect(end.fenced)
    #expect(end.result(program: "x", timeout: Seconds(1), stopped: nil).wasStopped)
    var count = 0
    for try await chunk in process.stdout { count += chunk.readableBytes }
    #expect(count == 0)
  }

  @Test func `a reader whose task is canceled returns`() async throws {
    let (reading, writing) = try makePipe()
    defer { close(writing) }
    let reader = try await PipeReader.open(Descriptor(owning: reading), on: .singletonMultiThreadedEventLoopGroup)
    let task = Task {
      var count = 0
      for try await chunk in reader { count += chunk.readableBytes }
      return count
    }
    task.cancel()
    #expect(try await task.value == 0)
  }

  @Test func `damaged configurations start nothing`() async throws {
    // Every prefix of a good configuration, and a good one with each byte changed in turn.
    let zoo = try Zoo.program
    let good = try SupervisedCommand(arguments: [zoo, "exit", "9"], environment: [("A", "b")], directory: "/").encoded()
    for length in stride(from: 0, to: good.count, by: 7) {
      #expect(try await outcome(of: Array(good[..<length]), supervisor: zoo)?.isConfigurationFailure == true)
    }
    #expect(try await outcome(of: good, supervisor: zoo) == .exited(code: 9))
    #expect(try await outcome(of: good + [65, 0], supervisor: zoo)?.isConfigurationFailure == true)
    for (old, new) in [("d/", "q/"), ("n5", "n99"), ("N4096", "N-1"), ("g10000", "g1x")] {
      let text = String(decoding: good, as: UTF8.self).replacingOccurrences(of: "\0\(old)\0", with: "\0\(new)\0")
      #expect(Array(text.utf8) != good)
      #expect(try await outcome(of: Array(text.utf8), supervisor: zoo)?.isConfigurationFailure == true)
    }
  }

  /// Starts a supervisor by hand with these bytes as its configuration.
  private func outcome(of bytes: [UInt8], supervisor: String) async throws -> ProcessEnd.Outcome? {
    let memory = bytes.withUnsafeBytes { aitbc_sealed_memory("damaged", $0.baseAddress, $0.count) }
    let configuration = Descriptor(owning: memory)
    let null = try Descriptor(opening: "/dev/null", O_RDWR)
    let (reading, writing) = try makePipe()
    let control = try DescriptorPair.socketPair()
    let reader = try await PipeReader.open(Descriptor(owning: reading), on: .singletonMultiThreadedEventLoopGroup)
    var pid: pid_t = 0
    let numbers = [null.raw, null.raw, null.raw, configuration.raw, control.far.raw, writing]
    let code = aitbc_spawn_supervisor(supervisor, "damaged", numbers, &pid)
    close(writing)
    try #require(code == 0)
    var text = ""
    for try await chunk in reader { text += String(decoding: chunk.readableBytesView, as: UTF8.self) }
    var state: Int32 = 0
    #expect(waitpid(pid, &state, 0) == pid)
    _ = control.near.raw
    return text.split(separator: "\n").compactMap { ProcessEnd(statusLine: $0) }.last?.outcome
  }
}

extension ProcessEnd.Outcome {
  fileprivate var isConfigurationFailure: Bool {
    if case .launchFailed(.configuration, _) = self { true } else { false }
  }
}
