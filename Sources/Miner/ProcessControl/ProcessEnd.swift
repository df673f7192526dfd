public import Wire

/// How a supervised program ended. When this is known, no process of it exists any more.
public struct ProcessEnd: Hashable, Sendable {
  public enum Outcome: Hashable, Sendable {
    case exited(code: Int)
    case signaled(number: Int)
    /// It never ran. `code` is an errno value, 0 when the sandbox gave none.
    case launchFailed(stage: LaunchStage, code: Int32)
    /// The supervisor itself was killed. What the program left was killed by its marker.
    case supervisorLost
  }

  /// The step at which starting failed.
  public enum LaunchStage: String, Hashable, Sendable {
    case none, configuration, fork, limits, directory, exec, sandbox
  }

  public var outcome: Outcome
  /// Wall time from exec to the main process's end; processor time and memory of all its processes that were waited
  /// for.
  public var usage = Usage()
  /// How many processes besides the main one had to be killed; inside a sandbox its own helpers count too.
  public var strays = 0
  /// It ran longer than its timeout.
  public var timedOut = false
  /// It was sent TERM.
  public var terminated = false
  /// What was left was sent KILL.
  public var killed = false
  /// It was killed because the miner, which stood still, had not renewed its lease.
  public var fenced = false
  /// The kernel killed a process for want of memory while it ran.
  public var memoryRanOut = false

  public init(_ outcome: Outcome) { self.outcome = outcome }

  /// Reads the supervisor's last line: `ended outcome=exited value=0 …`. Nil when it is none.
  init?(statusLine line: some StringProtocol) {
    let words = line.split(separator: " ")
    guard words.first == "ended" else { return nil }
    var fields: [Substring: Substring] = [:]
    for word in words.dropFirst() {
      let pair = word.split(separator: "=", maxSplits: 1)
      guard pair.count == 2 else { return nil }
      fields[Substring(pair[0])] = Substring(pair[1])
    }
    func number(_ name: Substring) -> Int64? { fields[name].flatMap { Int64($0) } }
    guard let word = fields["outcome"], let value = number("value") else { return nil }
    switch word {
    case "exited": outcome = .exited(code: Int(value))
    case "signaled": outcome = .signaled(number: Int(value))
    case "launch-failed":
      let stage = fields["stage"].flatMap { LaunchStage(rawValue: String($0)) } ?? .none
      outcome = .launchFailed(stage: stage, code: Int32(clamping: value))
    default: return nil
    }
    usage = Usage(
      wallMilliseconds: number("wall_ms") ?? 0, userMilliseconds: number("user_ms") ?? 0,
      systemMilliseconds: number("system_ms") ?? 0, maximumResidentKiB: number("max_rss_kib") ?? 0)
    strays = Int(number("strays") ?? 0)
    timedOut = number("timed_out") == 1
    terminated = number("terminated") == 1
    killed = number("killed") == 1
    fenced = number("fenced") == 1
    memoryRanOut = number("oom") == 1
  }
}
