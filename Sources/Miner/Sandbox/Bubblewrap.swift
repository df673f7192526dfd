/// Builds bubblewrap's command line (`bwrap(1)`).
///
/// A payload gets new user, PID, IPC, UTS, cgroup and, unless allowed, network namespaces; a read-only system of
/// `/usr`, `/etc`, `/opt` and what belongs to them; private `/tmp` and `/dev`; and its own job's folders.
/// bubblewrap's own PID 1 reaps inside; when it dies the kernel ends everything in the namespace in one step.
public struct Bubblewrap: Hashable, Sendable {
  /// The `bwrap` program.
  public var program: String
  /// More paths that jobs may read.
  public var readable: [String]
  /// Paths that jobs must not see even where they lie below a readable one: the miner's folder of jobs, its keys.
  public var hidden: [String]
  /// No user namespaces inside: less of the kernel can be reached. From bubblewrap 0.8.
  public var disablesUserNamespaces: Bool
  /// The executable that is the launcher inside, and the libraries it needs from outside the system's folders.
  var launcher: String
  var libraries: [String]

  public init(
    program: String, readable: [String] = [], hidden: [String] = [], disablesUserNamespaces: Bool = true,
    launcher: String, libraries: [String] = []
  ) {
    self.program = program
    self.readable = readable
    self.hidden = hidden
    self.disablesUserNamespaces = disablesUserNamespaces
    self.launcher = launcher
    self.libraries = libraries
  }

  /// What one job gets.
  public struct Profile: Hashable, Sendable {
    /// Bound read-write at the same path, in this order.
    public var writable: [String]
    /// The folder that becomes `/tmp`. Nil: an empty one in memory.
    public var temporary: String?
    public var allowsNetwork: Bool
    /// Device files of the GPUs it may use.
    public var devices: [String]

    public init(
      writable: [String] = [], temporary: String? = nil, allowsNetwork: Bool = false, devices: [String] = []
    ) {
      self.writable = writable
      self.temporary = temporary
      self.allowsNetwork = allowsNetwork
      self.devices = devices
    }
  }

  /// Everything in front of the payload's own command. ``SupervisedCommand/sandbox`` takes it.
  public func commandLine(for profile: Profile, system: SystemFolders = .present) -> [String] {
    var line = [program, "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if !profile.allowsNetwork { line.append("--unshare-net") }
    if disablesUserNamespaces { line.append("--disable-userns") }
    line += ["--cap-drop", "ALL", "--die-with-parent", "--new-session", "--hostname", "aitbc-job"]
    line += system.arguments
    line += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run"]
    line += profile.temporary.map { ["--bind", $0, "/tmp"] } ?? ["--tmpfs", "/tmp"]
    line += ["--dir", "/var", "--symlink", "../tmp", "/var/tmp"]
    if profile.allowsNetwork { line += ["--ro-bind-try", "/run/systemd/resolve", "/run/systemd/resolve"] }
    line += deviceArguments(profile.devices)
    for path in readable { line += ["--ro-bind", path, path] }
    // After all that could show them, before what lies below them on purpose: the job's own folders.
    for path in hidden + system.secretFolders where isVisible(path, in: system) { line += ["--tmpfs", path] }
    for path in system.secretFiles { line += ["--ro-bind", "/dev/null", path] }
    for path in [launcher] + libraries { line += ["--ro-bind", path, path] }
    for path in profile.writable { line += ["--bind", path, path] }
    // The root itself is a small file system in memory: nothing may be left there.
    line += ["--remount-ro", "/", "--", launcher, "__launch", "3", "4"]
    return line
  }

  private func isVisible(_ path: String, in system: SystemFolders) -> Bool {
    (system.bound + readable).contains { path == $0 || path.hasPrefix($0 + "/") }
  }

  private func deviceArguments(_ devices: [String]) -> [String] {
    guard !devices.isEmpty else { return ["--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu"] }
    // GPU runtimes look their device up in sysfs.
    return devices.flatMap { ["--dev-bind-try", $0, $0] } + ["--ro-bind-try", "/sys", "/sys"]
  }
}
