import Foundation
import Logging
import Marketplace
import Testing

@testable import Miner

extension PayloadZooTests {
  static let canSandbox = Flavour.available.contains(.bubblewrap)

  @Test(.enabled(if: canSandbox)) func `a sandboxed job has no network but the loopback`() async throws {
    let run = try await ZooRun.visit(["zoo", "interfaces"], in: .bubblewrap)
    #expect(run.text == "lo\n")
  }

  @Test(.enabled(if: canSandbox)) func `a sandboxed job sees its own processes only`() async throws {
    // bubblewrap's init, the launcher, itself.
    let run = try await ZooRun.visit(["zoo", "processes"], in: .bubblewrap)
    #expect(run.end.outcome == .exited(code: 3))
  }

  @Test(
    .enabled(if: canSandbox),
    arguments: ["/root", "/home", "/var/lib", "/etc/shadow", "/srv", "/sys/kernel", "/dev/mem", "/boot"])
  func `a sandboxed job can't read what is not the system's`(path: String) async throws {
    let run = try await ZooRun.visit(["zoo", "can-read", path], in: .bubblewrap)
    if path == "/etc/shadow" {
      // Covered by an empty device, so that programs which look for it still work.
      let content = try await ZooRun.visit(["sh", "-c", "cat /etc/shadow"], in: .bubblewrap)
      #expect(content.stdout.isEmpty)
    } else {
      #expect(run.end.outcome == .exited(code: 80))
    }
  }

  @Test(.enabled(if: canSandbox), arguments: ["/usr/x", "/etc/x", "/x", "/dev/x", "/run/x", "/opt/x", "/var/x"])
  func `a sandboxed job can't write outside its folders`(path: String) async throws {
    let run = try await ZooRun.visit(["zoo", "can-write", path], in: .bubblewrap)
    // /dev and /run are small file systems of its own: writing there reaches nobody.
    let isPrivate = path.hasPrefix("/dev/") || path.hasPrefix("/run/")
    #expect(run.end.outcome == .exited(code: isPrivate ? 0 : 80))
    #expect(access(path, F_OK) == -1)
  }

  @Test(arguments: Flavour.available)
  func `a job can write where it should`(flavour: Flavour) async throws {
    let script =
      "echo 1 > a && echo 2 > \"$OUT/b\" && echo 3 > \"$TMPDIR/c\" && test \"$(cat \"$TMPDIR/c\")\" = 3 && cat a"
    let run = try await ZooRun.visit(["sh", "-c", script], in: flavour) { command, job in
      command.environment.append(("OUT", job.output))
    }
    #expect(run.end.outcome == .exited(code: 0) && run.text == "1\n")
  }

  @Test(.enabled(if: canSandbox)) func `hidden folders are empty even below readable ones`() async throws {
    let folder = try TemporaryFolder()
    let secret = folder.path + "/open/secret"
    try FileManager.default.createDirectory(atPath: secret, withIntermediateDirectories: true)
    try Data("key".utf8).write(to: URL(filePath: secret + "/key"))
    try Data("fine".utf8).write(to: URL(filePath: folder.path + "/open/shown"))
    let zoo = try Zoo.program
    let sandbox = Bubblewrap(
      program: "/usr/bin/bwrap", readable: [folder.path + "/open"], hidden: [secret], launcher: zoo)
    let run = try await ZooRun.visit(
      ["sh", "-c", "cat \(folder.path)/open/shown; ls -A \(secret)"], in: .bubblewrap
    ) { command, job in
      command.sandbox = sandbox.commandLine(
        for: Bubblewrap.Profile(writable: [job.work, job.output], temporary: job.temporary))
    }
    #expect(run.end.outcome == .exited(code: 0))
    #expect(run.text == "fine")
  }

  @Test(.enabled(if: canSandbox)) func `a sandbox that can't be set up is a launch failure, told on stderr`()
    async throws
  {
    let run = try await ZooRun.visit(["zoo", "exit", "0"], in: .bubblewrap) { command, _ in
      command.sandbox.insert(contentsOf: ["--ro-bind", "/nowhere/at/all", "/x"], at: 1)
    }
    #expect(run.end.outcome == .launchFailed(stage: .sandbox, code: 0))
    #expect(String(decoding: run.stderr, as: UTF8.self).contains("/nowhere/at/all"))
  }

  @Test func `the probe says what is missing and falls back only when it may`() async throws {
    let folder = try TemporaryFolder()
    let zoo = try Zoo.program
    var probe = SandboxProbe(mode: .auto, executable: zoo, searchPath: folder.path)
    guard case .none = try await probe.run(logger: Logger(label: "test")) else {
      Issue.record("a sandbox without bubblewrap")
      return
    }
    probe.mode = .bubblewrap
    await #expect(throws: SandboxUnavailable.self) { try await probe.run(logger: Logger(label: "test")) }

    // A bwrap that is there and does not work.
    try "#!/bin/sh\necho 'no namespaces for you' >&2\nexit 1\n".write(
      toFile: folder.path + "/bwrap", atomically: true, encoding: .utf8)
    chmod(folder.path + "/bwrap", 0o755)
    await #expect {
      try await probe.run(logger: Logger(label: "test"))
    } throws: {
      "\($0)".contains("no namespaces for you")
    }
  }

  @Test(.enabled(if: canSandbox)) func `the probe finds a working bubblewrap`() async throws {
    let probe = SandboxProbe(mode: .auto, executable: try Zoo.program)
    guard case .bubblewrap(let found) = try await probe.run(logger: Logger(label: "test")) else {
      Issue.record("bubblewrap works here and was not taken")
      return
    }
    #expect(found.program == "/usr/bin/bwrap")
    let missing = SandboxProbe(mode: .bubblewrap, readable: ["/nowhere"], executable: try Zoo.program)
    await #expect(throws: SandboxUnavailable.self) { try await missing.run(logger: Logger(label: "test")) }
  }
}
