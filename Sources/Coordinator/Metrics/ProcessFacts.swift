import FoundationEssentials
import Glibc
import Instruments

/// What the system says of this process. Reads `/proc`: not on an event loop.
struct ProcessFacts: Sendable {
  var cpuMilliseconds: Int64 = 0
  var residentBytes: Int64 = 0
  var virtualBytes: Int64 = 0
  var threads: Int64 = 0
  var openFiles: Int64 = 0
  var fileLimit: Int64 = 0
  /// Seconds since 1970.
  var startedAt: Int64 = 0

  /// What can't be read stays 0.
  init() {
    let fields = Self.fields(Self.text("/proc/self/stat") ?? "")
    let ticks = max(1, Int64(sysconf(Int32(_SC_CLK_TCK))))
    func number(_ index: Int) -> Int64 { index < fields.count ? Int64(fields[index]) ?? 0 : 0 }
    // proc(5), counted from the state, which is field 3.
    cpuMilliseconds = (number(11) + number(12)) * 1_000 / ticks
    threads = number(17)
    virtualBytes = number(20)
    residentBytes = number(21) * Int64(sysconf(Int32(_SC_PAGESIZE)))
    startedAt = (Self.bootTime ?? 0) + number(19) / ticks
    // One of them is the folder itself, open for the reading.
    openFiles = Int64((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0)
    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      fileLimit = Int64(clamping: limit.rlim_cur)
    }
  }

  /// What follows the program's name, which may hold anything.
  static func fields(_ stat: String) -> [Substring] {
    guard let end = stat.lastIndex(of: ")") else { return [] }
    return stat[stat.index(after: end)...].split { $0 == " " || $0 == "\n" }
  }

  private static var bootTime: Int64? {
    text("/proc/stat")?.split(separator: "\n").first { $0.hasPrefix("btime ") }
      .flatMap { Int64($0.dropFirst("btime ".count)) }
  }

  private static func text(_ path: String) -> String? {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
  }

  func write(to page: inout Exposition) {
    page.family("process_cpu_seconds_total", .counter, "Processor time, of programs and system together.")
    let rest = String(1_000 + cpuMilliseconds % 1_000).dropFirst()
    page.sample([], "\(cpuMilliseconds / 1_000).\(rest)")
    page.gauge("process_resident_memory_bytes", "Memory that is in use.", residentBytes)
    page.gauge("process_virtual_memory_bytes", "Address space.", virtualBytes)
    page.gauge("process_threads", "Threads of the process.", threads)
    page.gauge("process_open_fds", "Open file descriptors.", openFiles)
    page.gauge("process_max_fds", "File descriptors that there may be.", fileLimit)
    page.gauge("process_start_time_seconds", "When the process began, in seconds since 1970.", startedAt)
  }
}
