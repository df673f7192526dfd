import Testing

@testable import Miner

@Suite("bubblewrap's command line")
struct BubblewrapTests {
  let system = SystemFolders(
    arguments: ["--ro-bind", "/usr", "/usr"], bound: ["/usr", "/etc"], secretFiles: ["/etc/shadow"],
    secretFolders: ["/etc/ssh", "/srv/keys"])
  let bubblewrap = Bubblewrap(
    program: "/usr/bin/bwrap", readable: ["/data/models"], hidden: ["/etc/aitbc", "/data/models/private", "/home/x"],
    launcher: "/usr/bin/aitbc", libraries: ["/home/me/libswiftCore.so"])

  private func line(_ profile: Bubblewrap.Profile) -> [String] { bubblewrap.commandLine(for: profile, system: system) }

  @Test func `namespaces, privileges and the launcher are always there`() {
    let line = line(Bubblewrap.Profile())
    for option in [
      "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--die-with-parent",
      "--new-session", "--disable-userns",
    ] { #expect(line.contains(option)) }
    #expect(!line.contains("--as-pid-1"))
    #expect(line.suffix(6) == ["/", "--", "/usr/bin/aitbc", "__launch", "3", "4"])
    #expect(line.contains(["--cap-drop", "ALL"]))
    #expect(line.contains(["--ro-bind", "/home/me/libswiftCore.so", "/home/me/libswiftCore.so"]))
  }

  @Test func `the network is shared only when asked for`() {
    #expect(line(Bubblewrap.Profile(allowsNetwork: false)).contains("--unshare-net"))
    #expect(!line(Bubblewrap.Profile(allowsNetwork: true)).contains("--unshare-net"))
  }

  @Test func `folders that are visible are covered, others are not mentioned`() {
    let line = line(Bubblewrap.Profile())
    for path in ["/etc/aitbc", "/etc/ssh", "/data/models/private"] { #expect(line.contains(["--tmpfs", path])) }
    for path in ["/home/x", "/srv/keys"] { #expect(!line.contains(path)) }
    #expect(line.contains(["--ro-bind", "/dev/null", "/etc/shadow"]))
  }

  @Test func `GPU devices bring their part of sysfs`() {
    let without = line(Bubblewrap.Profile())
    #expect(!without.contains("--dev-bind-try") && !without.contains("/sys"))
    let with = line(Bubblewrap.Profile(devices: ["/dev/nvidia0", "/dev/nvidiactl"]))
    #expect(with.contains(["--dev-bind-try", "/dev/nvidia0", "/dev/nvidia0"]))
    #expect(with.contains(["--ro-bind-try", "/sys", "/sys"]))
  }

  @Test func `the job's folders come after /tmp, so that a job below /tmp is seen`() throws {
    let line = line(Bubblewrap.Profile(writable: ["/tmp/m/jobs/a/work"], temporary: "/tmp/m/jobs/a/tmp"))
    #expect(line.contains(["--bind", "/tmp/m/jobs/a/tmp", "/tmp"]))
    let tmp = try #require(line.firstIndex(of: "/tmp"))
    let work = try #require(line.firstIndex(of: "/tmp/m/jobs/a/work"))
    #expect(tmp < work)
  }

  @Test func `libraries are taken from outside the system's folders, once each`() {
    let map = """
      7f00-7f01 r-xp 00000000 08:01 1  /usr/lib/x86_64-linux-gnu/libc.so.6
      7f02-7f03 r--p 00000000 08:01 2  /home/a b/swift/libswiftCore.so
      7f03-7f04 r-xp 00000000 08:01 2  /home/a b/swift/libswiftCore.so
      7f05-7f06 r-xp 00000000 08:01 3  /opt/swift/lib/libFoundation.so
      7f07-7f08 rw-p 00000000 00:00 0  [heap]
      7f09-7f0a rw-p 00000000 00:00 0
      7f0b-7f0c r-xp 00000000 08:01 4  /srv/lib/libx.so.3
      7f0d-7f0e r-xp 00000000 08:01 5  /srv/lib/liby.so (deleted)
      7f0f-7f10 r-xp 00000000 08:01 6  /srv/bin/aitbc
      """
    #expect(LoadedLibraries.foreign(inMap: map) == ["/home/a b/swift/libswiftCore.so", "/srv/lib/libx.so.3"])
  }
}
