import CSupervisor
import Foundation
import Marketplace
import Testing

@testable import Miner

/// A payload with a habit, and how it must end.
struct Animal: Sendable, CustomTestStringConvertible {
  enum Treatment: Sendable {
    case leave
    case terminate(grace: Int64)
    case kill
    case timeout(milliseconds: Int64)
  }

  var arguments: [String]
  var treatment = Treatment.leave
  var outcome: ProcessEnd.Outcome
  /// How it ends in bubblewrap, where that differs.
  var sandboxedOutcome: ProcessEnd.Outcome?
  /// It leaves processes that must be killed.
  var leavesStrays = false
  var output: String?

  var testDescription: String { arguments.joined(separator: " ") }

  static let all: [Animal] = [
    Animal(arguments: ["zoo", "exit", "0"], outcome: .exited(code: 0)),
    Animal(arguments: ["zoo", "exit", "255"], outcome: .exited(code: 255)),
    // 137 as a code is not a signal: a sandbox must not mix them up.
    Animal(arguments: ["zoo", "exit", "137"], outcome: .exited(code: 137)),
    Animal(arguments: ["zoo", "raise", "11"], outcome: .signaled(number: 11)),
    Animal(arguments: ["zoo", "raise", "6"], outcome: .signaled(number: 6)),
    Animal(arguments: ["zoo", "raise", "9"], outcome: .signaled(number: 9)),
    Animal(arguments: ["zoo", "abort-group"], outcome: .signaled(number: 15)),
    Animal(arguments: ["zoo", "double-fork"], outcome: .exited(code: 0), leavesStrays: true),
    Animal(arguments: ["zoo", "daemon"], outcome: .exited(code: 0), leavesStrays: true),
    Animal(arguments: ["zoo", "chain"], outcome: .exited(code: 0)),
    Animal(arguments: ["zoo", "session-chain"], outcome: .exited(code: 0)),
    Animal(arguments: ["zoo", "hold-stdout"], outcome: .exited(code: 0), leavesStrays: true, output: "parent done\n"),
    Animal(arguments: ["zoo", "close-output"], outcome: .exited(code: 3), output: ""),
    Animal(arguments: ["zoo", "remove-cwd"], outcome: .exited(code: 0), sandboxedOutcome: .exited(code: 82)),
    Animal(arguments: ["zoo", "zombies"], outcome: .exited(code: 0)),
    Animal(arguments: ["zoo", "fill-tmp"], outcome: .exited(code: 0)),
    Animal(arguments: ["zoo", "stdin"], outcome: .exited(code: 0)),
    Animal(arguments: ["zoo", "deep-tree"], outcome: .exited(code: 0)),
    Animal(arguments: ["zoo", "signals"], outcome: .exited(code: 0)),
    Animal(arguments: ["zoo", "sparse"], outcome: .exited(code: 0)),
    Animal(arguments: ["zoo", "many-files"], outcome: .exited(code: 0)),
    Animal(arguments: ["zoo", "hide"], treatment: .terminate(grace: 100), outcome: .signaled(number: 15)),
    Animal(arguments: ["zoo", "hide"], treatment: .kill, outcome: .signaled(number: 9), leavesStrays: true),
    Animal(arguments: ["zoo", "raise", "3"], outcome: .signaled(number: 3)),
    Animal(arguments: ["zoo", "descriptors"], outcome: .exited(code: 0), output: "0\n1\n2\n"),
    // Kills the supervisor (bare) or the launcher (sandboxed): nothing survives either way.
    Animal(
      arguments: ["zoo", "kill-parent"], outcome: .supervisorLost, sandboxedOutcome: .signaled(number: 9)),
    Animal(arguments: ["/nowhere/at/all"], outcome: .launchFailed(stage: .exec, code: ENOENT)),
    Animal(arguments: ["no-such-program"], outcome: .launchFailed(stage: .exec, code: ENOENT)),
    Animal(arguments: ["/etc/passwd"], outcome: .launchFailed(stage: .exec, code: EACCES)),
    Animal(arguments: ["/usr"], outcome: .launchFailed(stage: .exec, code: EACCES)),

    Animal(arguments: ["zoo", "sleep"], treatment: .terminate(grace: 30_000), outcome: .signaled(number: 15)),
    Animal(arguments: ["zoo", "sleep"], treatment: .kill, outcome: .signaled(number: 9)),
    Animal(arguments: ["zoo", "ignore-term"], treatment: .terminate(grace: 100), outcome: .signaled(number: 9)),
    Animal(arguments: ["zoo", "ignore-term"], treatment: .terminate(grace: 0), outcome: .signaled(number: 9)),
    Animal(arguments: ["zoo", "stop"], treatment: .terminate(grace: 30_000), outcome: .signaled(number: 15)),
    Animal(arguments: ["zoo", "stop"], treatment: .kill, outcome: .signaled(number: 9)),
    Animal(
      arguments: ["zoo", "tree"], treatment: .terminate(grace: 100), outcome: .signaled(number: 9), leavesStrays: true),
    Animal(arguments: ["zoo", "tree"], treatment: .kill, outcome: .signaled(number: 9), leavesStrays: true),
    Animal(
      arguments: ["zoo", "groups"], treatment: .terminate(grace: 100), outcome: .signaled(number: 15),
      leavesStrays: true),
    Animal(
      arguments: ["zoo", "sessions"], treatment: .terminate(grace: 100), outcome: .signaled(number: 15),
      leavesStrays: true),
    Animal(arguments: ["zoo", "threads"], treatment: .kill, outcome: .signaled(number: 9)),
    // Its first thread has ended and others run: /proc shows it as a zombie, and it is none.
    Animal(arguments: ["zoo", "deaf-thread"], treatment: .terminate(grace: 100), outcome: .signaled(number: 9)),
    Animal(arguments: ["zoo", "deaf-thread"], treatment: .kill, outcome: .signaled(number: 9)),
    Animal(arguments: ["zoo", "deaf-thread"], treatment: .timeout(milliseconds: 100), outcome: .signaled(number: 9)),
    Animal(arguments: ["zoo", "thread-exit"], treatment: .timeout(milliseconds: 300), outcome: .signaled(number: 15)),
    Animal(
      arguments: ["zoo", "bye"], treatment: .terminate(grace: 30_000), outcome: .exited(code: 7), output: "ready\nbye\n"
    ),
    Animal(arguments: ["zoo", "sleep"], treatment: .timeout(milliseconds: 200), outcome: .signaled(number: 15)),
    Animal(arguments: ["zoo", "spin"], treatment: .timeout(milliseconds: 200), outcome: .signaled(number: 15)),
    Animal(arguments: ["zoo", "ignore-term"], treatment: .timeout(milliseconds: 100), outcome: .signaled(number: 9)),
  ]
}

/// Serialized: fork loops beside each other would test the machine, not the supervisor.
@Suite("Payload zoo", .serialized, .timeLimit(.minutes(5)))
struct PayloadZooTests {
  @Test("ends as it should and leaves nothing", arguments: Animal.all, Flavour.available)
  func animal(_ animal: Animal, flavour: Flavour) async throws {
    let treatment = animal.treatment
    let run = try await ZooRun.visit(
      animal.arguments, in: flavour,
      prepare: { command, _ in
        command.timeoutGrace = Seconds(milliseconds: 100)
        if case .timeout(let milliseconds) = treatment { command.timeout = Seconds(milliseconds: milliseconds) }
      },
      act: { process in
        switch treatment {
        case .terminate(let grace): process.terminate(grace: Seconds(milliseconds: grace))
        case .kill: process.kill()
        case .leave, .timeout: break
        }
      })
    let expected = flavour == .bubblewrap ? animal.sandboxedOutcome ?? animal.outcome : animal.outcome
    #expect(run.end.outcome == expected, "stderr: \(String(decoding: run.stderr, as: UTF8.self))")
    if case .timeout = treatment { #expect(run.end.timedOut) } else { #expect(!run.end.timedOut) }
    if case .terminate = treatment { #expect(run.end.terminated) }
    if case .kill = treatment { #expect(run.end.killed) }
    if let output = animal.output { #expect(run.text == output) }
    // In a sandbox the namespace's end has killed them before anybody could count.
    if animal.leavesStrays && flavour != .bubblewrap { #expect(run.end.strays > 0) }
  }

  @Test(arguments: Flavour.available)
  func `ten megabytes and a line without end arrive whole`(flavour: Flavour) async throws {
    let lines = try await ZooRun.visit(["zoo", "print", "10485760", "line of text\n"], in: flavour)
    #expect(lines.stdout.count == 10_485_760)
    #expect(lines.stdout.starts(with: "line of text\nline".utf8))
    let line = try await ZooRun.visit(["zoo", "print", "8000001", "x"], in: flavour)
    #expect(line.stdout.count == 8_000_001 && line.stdout.allSatisfy { $0 == UInt8(ascii: "x") })
  }

  @Test(arguments: Flavour.available)
  func `invalid UTF-8 is passed on byte for byte`(flavour: Flavour) async throws {
    let run = try await ZooRun.visit(["zoo", "invalid-utf8"], in: flavour)
    #expect(run.stdout == [0xFF, 0xFE, 0xC3, 0x28, 0x80] + Array(" end".utf8))
  }

  @Test(arguments: Flavour.available)
  func `the environment is exactly the one given`(flavour: Flavour) async throws {
    var names: [String] = []
    let run = try await ZooRun.visit(["zoo", "environment"], in: flavour) { command, _ in
      command.environment.append(("SECRET", "a=b \"c\"\n$d"))
      names = command.environment.map(\.name)
    }
    #expect(run.text.contains("SECRET=a=b \"c\"\n$d\n"))
    let given = run.text.split(separator: "\n").filter { $0.contains("=") }.map { $0.prefix { $0 != "=" } }
    #expect(given.map(String.init) == names)
  }

  @Test(arguments: Flavour.available)
  func `a directory that is not there is a launch failure`(flavour: Flavour) async throws {
    let run = try await ZooRun.visit(["zoo", "exit", "0"], in: flavour) { command, _ in command.directory = "/nowhere" }
    #expect(run.end.outcome == .launchFailed(stage: .directory, code: ENOENT))
  }

  @Test(arguments: Flavour.available)
  func `a script is run by its interpreter`(flavour: Flavour) async throws {
    let run = try await ZooRun.visit(["./script"], in: flavour) { _, job in
      try "#!/bin/sh\necho out; echo err >&2; exit 4\n".write(
        toFile: job.work + "/script", atomically: false, encoding: .utf8)
      chmod(job.work + "/script", 0o700)
    }
    #expect(run.end.outcome == .exited(code: 4))
    #expect(run.text == "out\n" && run.stderr == Array("err\n".utf8))
  }

  @Test(arguments: Flavour.available)
  func `limits hold and core files are off`(flavour: Flavour) async throws {
    let run = try await ZooRun.visit(["zoo", "limits"], in: flavour) { command, _ in
      command.limits = ProcessLimits(addressSpace: 1 << 32, openFiles: 77, niceness: 7)
    }
    #expect(run.text == "core 0\nfiles 77\nspace 4294967296\nnice 7\n")
    let big = try await ZooRun.visit(["zoo", "big-file"], in: flavour) { command, _ in
      command.limits = ProcessLimits(fileSize: 100_000)
    }
    #expect(big.end.outcome == .signaled(number: Int(SIGXFSZ)))
  }

  @Test(arguments: Flavour.available)
  func `during the grace a child may still finish after its parent`(flavour: Flavour) async throws {
    let run = try await ZooRun.visit(["zoo", "child-bye"], in: flavour, act: { $0.terminate(grace: Seconds(30)) })
    #expect(run.end.outcome == .signaled(number: 15))
    // In a sandbox the namespace ends with the main process, so the child's last word may be lost.
    if flavour != .bubblewrap { #expect(run.text == "ready\nbye\n") }
    #expect(!run.end.killed || flavour == .bubblewrap)
  }
}
