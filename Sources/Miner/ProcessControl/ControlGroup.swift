import CSupervisor
import Glibc
import ResultPackage

/// A control group (version 2) for one try. Whatever the payload starts is born in it, so one write ends it all.
public struct ControlGroup: Hashable, Sendable {
  /// Absolute; the supervisor makes it and removes it.
  public var path: String
  /// Bytes of memory; more and the kernel ends the payload: `OUT_OF_MEMORY`.
  public var memory: Int64?
  /// Processes and threads.
  public var processes: Int64?
  /// Processor time, in thousandths of one processor.
  public var millicpus: Int64?

  public init(path: String, memory: Int64? = nil, processes: Int64? = nil, millicpus: Int64? = nil) {
    self.path = path
    self.memory = memory
    self.processes = processes
    self.millicpus = millicpus
  }

  /// Kills what is in it and removes it: for the case that its supervisor was killed.
  func end() { _ = aitbc_end_cgroup(path) }
}

/// The miner's own part of the control groups: a folder in which each try gets a group.
struct ControlGroups: Sendable {
  /// Why there are none here.
  struct Unavailable: Error, Hashable, CustomStringConvertible {
    let description: String
  }

  let path: String
  /// Limits of memory, processes and processor time can be set.
  let canLimit: Bool

  /// Finds the control groups of this process and makes the miner's folder there. What a killed miner of the same
  /// `name` left is ended first. Throws ``Unavailable``.
  static func open(name: String) throws(Unavailable) -> ControlGroups {
    guard let mount = mountPoint(SmallSystemFile.read("/proc/self/mountinfo")) else {
      throw Unavailable(description: "no control groups of version 2 are mounted")
    }
    let own = ownGroup(SmallSystemFile.read("/proc/self/cgroup"))
    let base = mount + (own == "/" ? "" : own)
    let path = base + "/aitbc-" + name
    let code = aitbc_end_cgroup(path)
    guard code == 0 else { throw Unavailable(description: "\(path) can't be cleared: \(SystemText.error(code))") }
    guard mkdir(path, 0o755) == 0 else {
      throw Unavailable(description: "no group can be made in \(base): \(SystemText.error(errno))")
    }
    guard access(path + "/cgroup.kill", W_OK) == 0 else {
      rmdir(path)
      throw Unavailable(description: "the kernel has no cgroup.kill (it came with Linux 5.14)")
    }
    return ControlGroups(path: path, canLimit: delegateControllers(from: base, to: path, name: name))
  }

  /// Removes the folder; the tries' groups are gone by then.
  func close() { rmdir(path) }

  /// The group of one try. `name` is ours.
  func group(_ name: String) -> ControlGroup { ControlGroup(path: path + "/" + name) }

  /// Hands the controllers down. A group that hands some down must hold no process itself, unless it is the root: the
  /// miner moves into a leaf.
  private static func delegateControllers(from base: String, to path: String, name: String) -> Bool {
    let wanted = ["memory", "pids", "cpu"]
    let there = Set(
      SmallSystemFile.read(base + "/cgroup.controllers").split { $0 == " " || $0 == "\n" }.map(String.init))
    guard wanted.allSatisfy(there.contains) else { return false }
    let text = wanted.map { "+" + $0 }.joined(separator: " ")
    if !SmallSystemFile.write(base + "/cgroup.subtree_control", text) {
      let leaf = base + "/aitbc-\(name)-miner"
      guard mkdir(leaf, 0o755) == 0 || errno == EEXIST, SmallSystemFile.write(leaf + "/cgroup.procs", "0"),
        SmallSystemFile.write(base + "/cgroup.subtree_control", text)
      else { return false }
    }
    return SmallSystemFile.write(path + "/cgroup.subtree_control", text)
  }

  /// Where version 2 is mounted, from the text of `mountinfo` (proc(5)); nil when it is not, or not writable.
  static func mountPoint(_ mountinfo: String) -> String? {
    for line in mountinfo.split(separator: "\n") {
      let halves = line.split(separator: " - ", maxSplits: 1)
      guard halves.count == 2, halves[1].hasPrefix("cgroup2 ") else { continue }
      let fields = halves[0].split(separator: " ")
      guard fields.count > 5, fields[5].split(separator: ",").contains("rw") else { continue }
      return String(fields[4])
    }
    return nil
  }

  /// This process's group within that mount, from the text of `/proc/self/cgroup` (cgroups(7)).
  static func ownGroup(_ text: String) -> String {
    let line = text.split(separator: "\n").first { $0.hasPrefix("0::") }
    return line.map { String($0.dropFirst(3)) } ?? "/"
  }
}

/// Files of the kernel: short, and written whole.
enum SmallSystemFile {
  /// Empty when it can't be read.
  static func read(_ path: String) -> String {
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while bytes.count < 4 << 20 {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      guard count > 0 else { break }
      bytes += buffer.prefix(count)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  static func write(_ path: String, _ text: String) -> Bool {
    let descriptor = Glibc.open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    return Glibc.write(descriptor, bytes, bytes.count) == bytes.count
  }
}
