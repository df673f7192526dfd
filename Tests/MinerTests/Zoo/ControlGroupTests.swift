import Foundation
import Marketplace
import Testing

@testable import Miner

/// Control groups: found, limited, and gone afterwards. What each payload leaves in one is the zoo's business.
struct ControlGroupTests {
  @Test(
    arguments: [
      ("30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw", "/sys/fs/cgroup"),
      (
        "29 24 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
          + "41 24 0:35 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw", "/sys/fs/cgroup/unified"
      ),
      ("30 24 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw", nil),
      ("30 24 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw,memory", nil), ("", nil), ("nonsense - cgroup2 x", nil),
    ] as [(String, String?)])
  func `the mount is found`(_ text: String, _ path: String?) { #expect(ControlGroups.mountPoint(text) == path) }

  @Test(
    arguments: [
      ("0::/system.slice/aitbc.service\n", "/system.slice/aitbc.service"), ("4:memory:/x\n0::/\n", "/"),
      ("4:memory:/x\n", "/"), ("", "/"),
    ])
  func `the own group is found`(_ text: String, _ group: String) { #expect(ControlGroups.ownGroup(text) == group) }

  @Test(.enabled(if: Flavour.groups != nil, "no control groups of version 2 can be made here"))
  func `what a killed miner left is ended at the next start`() async throws {
    let name = "left-\(getpid())"
    let first = try ControlGroups.open(name: name)
    mkdir(first.path + "/job", 0o755)
    let zoo = try Zoo.program
    let orphan = try startTool([zoo, "sleep"], environment: [])
    #expect(SmallSystemFile.write(first.path + "/job/cgroup.procs", "\(orphan)"))
    // No close: the miner was killed.
    let second = try ControlGroups.open(name: name)
    var status: Int32 = 0
    #expect(waitpid(orphan, &status, 0) == orphan && status & 0x7F == SIGKILL)
    #expect(access(second.path + "/job", F_OK) == -1)
    second.close()
    #expect(access(second.path, F_OK) == -1)
  }

  /// This machine may have the controllers in version 1, as hybrid set-ups do: then only killing is to be had.
  @Test(
    .enabled(
      if: Flavour.groups?.canLimit == true, "the controllers memory, pids and cpu are not in version 2 here"),
    arguments: [true, false])
  func `memory and processes are limited`(isMemory: Bool) async throws {
    let run = try await ZooRun.visit(["zoo", isMemory ? "eat" : "tree"], in: .group) { command, _ in
      if isMemory { command.group?.memory = 64 << 20 } else { command.group?.processes = 16 }
    }
    if isMemory {
      #expect(run.end.outcome == .signaled(number: 9) && run.end.memoryRanOut)
      let result = run.end.result(program: "zoo", timeout: .days(1), stopped: nil)
      #expect(result.outcome == .failed(JobError(.outOfMemory, "the kernel ended it for want of memory")))
    } else {
      #expect(run.end.outcome == .exited(code: 98))
    }
  }

  @Test func `limits that can't be had are refused, not forgotten`() async throws {
    try await withKnownGroups { groups in
      guard !groups.canLimit else { return }
      let run = try await ZooRun.visit(["zoo", "exit", "0"], in: .group) { command, _ in
        command.group?.memory = 64 << 20
      }
      guard case .launchFailed(stage: .limits, _) = run.end.outcome else {
        Issue.record("\(run.end.outcome)")
        return
      }
    }
  }

  private func withKnownGroups(_ body: (ControlGroups) async throws -> Void) async throws {
    if let groups = Flavour.groups { try await body(groups) }
  }
}
