import CSupervisor
import Glibc
public import Clocks
public import Marketplace
public import NIOCore
public import NIOPosix
import ResultPackage

/// A program that runs under its own supervisor process (see `CSupervisor.h`).
///
/// Dropping this object, or the death of the miner, closes the control socket: the supervisor then kills everything the
/// program started. ``end`` is told only after all of it is gone and reaped, so log pipes always reach their end too.
public final class SupervisedProcess: Sendable {
  /// What the program writes. Each must be read to its end, or the program will block on a full pipe.
  public let stdout: PipeReader
  public let stderr: PipeReader
  /// The supervisor's process id.
  public let supervisor: Int32

  private let control: Descriptor
  private let startedPromise: EventLoopPromise<Bool>
  private let endPromise: EventLoopPromise<ProcessEnd>

  /// Starts a supervisor and, through it, the program.
  ///
  /// - Parameter executable: What becomes the supervisor; its `main` must begin with `aitbc_hidden_command`.
  /// - Throws: ``InvalidCommand``, or ``FileError`` when no descriptor, memory or process is to be had. That the
  ///   program
  ///   itself could not be started is an ordinary ``end``.
  public static func start(
    _ command: SupervisedCommand, executable: String = "/proc/self/exe",
    group: any EventLoopGroup = .singletonMultiThreadedEventLoopGroup
  ) async throws -> SupervisedProcess {
    let configuration = try Self.configurationFile(command.encoded())
    let null = try Descriptor(opening: "/dev/null", O_RDONLY)
    let output = try DescriptorPair.pipe()
    let errors = try DescriptorPair.pipe()
    let status = try DescriptorPair.pipe()
    let control = try DescriptorPair.socketPair()

    // Readers first: when one can't be had, nothing has been started yet.
    let readers = try await Readers(
      stdout: output.near, stderr: errors.near, status: status.near, group: group)
    let descriptors = [
      null.raw, output.far.raw, errors.far.raw, configuration.raw, control.far.raw, status.far.raw,
    ]
    var pid: pid_t = 0
    let code = aitbc_spawn_supervisor(executable, command.label, descriptors, &pid)
    guard code == 0 else {
      readers.close()
      throw FileError(path: executable, operation: "spawn", code: code)
    }
    return SupervisedProcess(
      pid: pid, readers: readers, control: control.near, marker: command.marker, group: command.group,
      loop: group.next())
  }

  private init(
    pid: pid_t, readers: Readers, control: consuming Descriptor, marker: String?, group: ControlGroup?,
    loop: any EventLoop
  ) {
    supervisor = pid
    stdout = readers.stdout
    stderr = readers.stderr
    self.control = control
    startedPromise = loop.makePromise(of: Bool.self)
    endPromise = loop.makePromise(of: ProcessEnd.self)
    // The one task of its own: it must read the status and reap the supervisor even when nobody waits for the end.
    let (started, ended) = (startedPromise, endPromise)
    Task {
      let end = await Self.watch(readers.status, pid: pid, marker: marker, group: group, started: started)
      started.succeed(false)
      ended.succeed(end)
    }
  }

  /// True once the program runs; false when it ended, or could not be started, before that was seen.
  public var started: Bool {
    get async { (try? await startedPromise.futureResult.get()) ?? false }
  }

  /// How it ended. Known only when no process of it is left.
  public var end: ProcessEnd {
    get async { (try? await endPromise.futureResult.get()) ?? ProcessEnd(.supervisorLost) }
  }

  /// Sends TERM to everything the program started, and KILL to what is left after `grace`. A second call may shorten
  /// the grace, never lengthen it.
  public func terminate(grace: Seconds) {
    send("T \(min(max(0, grace.milliseconds), 86_400_000))\n")
  }

  /// Kills everything the program started, now.
  public func kill() { send("K\n") }

  /// Kills everything at this moment of the machine's monotonic clock, unless a later one was named by then: also when
  /// this process itself stands still.
  public func fence(at moment: MonotonicTime) { send("F \(moment.milliseconds)\n") }

  private func send(_ line: String) {
    // A supervisor that is gone already has nothing left to kill.
    _ = Array(line.utf8).withUnsafeBytes { aitbc_send(control.raw, $0.baseAddress, $0.count) }
  }

  private static func configurationFile(_ bytes: [UInt8]) throws(FileError) -> Descriptor {
    let descriptor = bytes.withUnsafeBytes { aitbc_sealed_memory("aitbc-configuration", $0.baseAddress, $0.count) }
    guard descriptor >= 0 else { throw FileError(path: "memory file", operation: "create", code: -descriptor) }
    return Descriptor(owning: descriptor)
  }

  private static func watch(
    _ status: PipeReader, pid: pid_t, marker: String?, group: ControlGroup?, started: EventLoopPromise<Bool>
  ) async -> ProcessEnd {
    var end: ProcessEnd?
    var text = ""
    var iterator = status.makeAsyncIterator()
    while let chunk = try? await iterator.next() {
      // The supervisor writes at most two short lines; more is not its own.
      guard text.utf8.count < 4096 else { continue }
      text += String(decoding: chunk.readableBytesView, as: UTF8.self)
      while let newline = text.firstIndex(of: "\n") {
        let line = text[..<newline]
        if line == "started" { started.succeed(true) }
        end = ProcessEnd(statusLine: line) ?? end
        text = String(text[text.index(after: newline)...])
      }
    }
    let final = end ?? ProcessEnd(.supervisorLost)
    // The pipe's end means that the supervisor is exiting: this wait is a matter of microseconds, but it blocks.
    _ = try? await NIOThreadPool.singleton.runIfActive {
      var state: Int32 = 0
      while waitpid(pid, &state, 0) < 0 && errno == EINTR {}
      guard final.outcome == .supervisorLost else { return }
      group?.end()
      if let marker { _ = aitbc_kill_marked(marker, 200) }
    }
    return final
  }
}

private struct Readers: Sendable {
  let stdout: PipeReader
  let stderr: PipeReader
  let status: PipeReader

  init(
    stdout: consuming Descriptor, stderr: consuming Descriptor, status: consuming Descriptor,
    group: any EventLoopGroup
  ) async throws {
    let first = try await PipeReader.open(stdout, on: group)
    do {
      let second = try await PipeReader.open(stderr, on: group)
      do {
        self.status = try await PipeReader.open(status, on: group)
      } catch {
        second.close()
        throw error
      }
      self.stderr = second
    } catch {
      first.close()
      throw error
    }
    self.stdout = first
  }

  func close() {
    stdout.close()
    stderr.close()
    status.close()
  }
}
