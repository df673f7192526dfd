public import Marketplace
public import MarketplaceClient

/// Everything a miner is told by its operator. The defaults are those of `aitbc miner`.
public struct MinerConfiguration: Sendable {
  /// Where the coordinator listens.
  public var url: CoordinatorURL
  /// A key of role `miner`. Never logged.
  public var apiKey: String
  /// Shown in the fleet. Default: the host's name.
  public var name: String
  public var version: String
  /// Jobs at a time, 1 to 10,000. Default 1.
  public var slots = 1
  public var labels: [String: String] = [:]
  public var region: String?
  /// Asked per GPU-hour. Nil: the list price.
  public var price: Money?
  /// Named devices. Nil: what `nvidia-smi` finds.
  public var gpus: [GPUDevice]?
  /// Models that jobs may ask for.
  public var models: [String] = []

  /// Folder for identity and jobs. One miner at a time uses it.
  public var workDirectory: String
  public var sandbox = SandboxMode.auto
  /// More paths that sandboxed jobs may read.
  public var sandboxReadable: [String] = []
  /// Paths that sandboxed jobs must never see, besides the work directory: keys, a coordinator's data.
  public var sandboxHidden: [String] = []
  /// Jobs that ask for the network get it. Without a sandbox they all have it. Default false.
  public var allowsNetwork = false
  public var limits = ProcessLimits()
  /// For all processes of one try together; needs control groups.
  public var groupLimits = GroupLimits()
  /// Gives each try a control group where the machine lets us. Default true.
  public var usesControlGroups = true
  /// `PATH` of jobs.
  public var searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  /// Runners that the operator adds.
  public var runners: [RunnerTemplate] = []
  /// Base of an OpenAI-compatible service, such as `http://127.0.0.1:11434/v1`. Nil: no runner `inference`.
  public var inferenceURL: CoordinatorURL?
  /// Bearer token for it. Never logged.
  public var inferenceKey: String?

  /// Bytes of one log of one try. Default 256 MiB; more ends the job with `OUTPUT_TOO_LARGE`.
  public var logLimit = LogSpool.defaultLimit
  /// Files among one try's results. Default 10,000; more ends the job with `OUTPUT_TOO_LARGE`.
  public var artifactLimit = 10_000
  /// Bytes of one artifact. Default 16 GiB.
  public var artifactBytes: Int64 = 16 << 30
  /// Bytes of inputs kept for jobs to come. Default 10 GiB; 0 keeps none.
  public var cacheBytes: Int64 = 10 << 30
  /// Fetching all inputs of a job may take as long. Default 10 min.
  public var inputTimeout = Seconds(600)

  /// A payload is stopped this long before its lease could be given away. Default 3 s; for short leases a quarter of
  /// their term.
  public var fenceMargin = Seconds(3)
  /// Between TERM and KILL when a job's own timeout strikes, and when the miner leaves. Default 10 s.
  public var stopGrace = Seconds(10)
  /// Told twice to go, the miner waits so long for its reports to be taken, and goes at the latest this long after the
  /// grace. Default 2 s.
  public var leavePatience = Seconds(2)
  /// A draining miner that has lost its coordinator keeps finished results for as long as their leases may live, and
  /// so much longer. Default 5 min, at most 30 days.
  public var drainTimeout = Seconds(300)
  /// Between attempts to reach the coordinator. The cap is well under a lease, so that a coordinator that was restarted
  /// meets its running jobs before their leases end. Default 0.25 s doubling to 3 s.
  public var reconnect = Backoff(base: Seconds(milliseconds: 250), cap: Seconds(3))

  /// What becomes a job's supervisor. Default: this very program, whose `main` begins with ``ProcessSupervisor``.
  public var supervisorExecutable = "/proc/self/exe"

  public init(url: CoordinatorURL, apiKey: String, name: String, version: String, workDirectory: String) {
    self.url = url
    self.apiKey = apiKey
    self.name = name
    self.version = version
    self.workDirectory = workDirectory
  }

  /// Names of the runners it has.
  var runnerNames: [String] {
    ["process", "noop"] + (inferenceURL == nil ? [] : ["inference"]) + runners.map(\.name)
  }

  /// What is offered to the market.
  func offer(_ facts: HostFacts) -> MinerOffer {
    var offer = MinerOffer(runners: runnerNames, slots: slots)
    offer.gpus = gpus ?? facts.gpus
    offer.cuda = facts.cuda
    offer.models = models
    offer.region = region
    offer.price = price
    offer.labels = labels
    offer.cpus = facts.cpus
    offer.memoryMiB = facts.memoryMiB
    offer.allowsNetwork = allowsNetwork
    return offer
  }

  /// Refuses what can't work. Throws ``InvalidConfiguration``.
  public func validate() throws(InvalidConfiguration) {
    func check(_ holds: Bool, _ field: String, _ message: String) throws(InvalidConfiguration) {
      guard holds else { throw InvalidConfiguration("\(field) \(message)") }
    }
    try check((1...10_000).contains(slots), "--slots", "must be between 1 and 10000")
    try check(!apiKey.isEmpty, "--api-key-file", "holds no key")
    try check(!name.isEmpty && name.utf8.count <= 128, "--name", "must have 1 to 128 characters")
    try check(!workDirectory.isEmpty, "--work-dir", "must name a folder")
    try check(!workDirectory.utf8.contains(0), "--work-dir", "holds a NUL character")
    let names = runners.map(\.name)
    try check(Set(names).count == names.count, "--runner", "names one runner twice")
    for path in sandboxReadable { try check(path.hasPrefix("/"), "--sandbox-bind \(path)", "must be an absolute path") }
    try check(fenceMargin.milliseconds >= 0, "fence margin", "must not be negative")
    try check(
      drainTimeout.milliseconds >= 0 && drainTimeout <= .days(30), "--drain-timeout", "must be between 0 and 30d")
    try check(artifactLimit >= 0 && logLimit >= 0, "limits", "must not be negative")
  }
}

/// A setting that can't work.
public struct InvalidConfiguration: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
