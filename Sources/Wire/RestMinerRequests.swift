public import JSON
public import Marketplace

/// `POST /v1/miners/register`, as AITBC's miners send it, with more that may be said.
public struct RegisterRequest: Hashable, Sendable {
  public var offer: MinerOffer
  /// Nil: the key's own miner.
  public var name: String?
  public var version: String
  /// It runs nothing of what it held.
  public var isFresh: Bool

  /// Stands for every payload type but `process` in a miner's runners.
  public static let anyPayload = "*"

  /// Throws ``Problem`` 422. Unknown members are taken in `capabilities` only.
  public init(_ body: JSONValue) throws(Problem) {
    var reader = FieldReader(body)
    let slots = reader.integer("concurrency", in: 1...10_000) ?? 1
    offer = MinerOffer(runners: [Self.anyPayload], slots: Int(slots))
    name = reader.string("name", limit: 128)
    if name == "" { reader.fail("name", "must not be empty") }
    version = reader.string("version", limit: 64) ?? "rest"
    isFresh = reader.bool("fresh") ?? false
    let region = reader.string("region", limit: 64)
    if let value = reader.value("capabilities") {
      var inner = FieldReader(value, at: "/capabilities")
      Self.read(&inner, into: &offer)
      reader.add(inner.errors)
    }
    offer.region = region ?? offer.region
    let errors = reader.finish()
    guard errors.isEmpty else { throw Problem.invalid(errors) }
  }

  private static func read(_ reader: inout FieldReader, into offer: inout MinerOffer) {
    offer.gpus = devices(&reader)
    offer.cuda = reader.string("cuda", limit: 32)
    offer.models = reader.strings("models", count: 1_000, limit: 256) ?? []
    if let runners = reader.strings("runners", count: 100, limit: 64) { offer.runners = runners }
    offer.region = reader.string("region", limit: 64)
    offer.price = reader.money("price")
    offer.labels = Dictionary(reader.pairs("labels", count: 64, limit: 1_024) ?? [], uniquingKeysWith: { $1 })
    offer.cpus = Int(reader.integer("cpus", in: 0...65_536) ?? 0)
    offer.memoryMiB = Int(reader.integer("memory_mb", in: 0...1_073_741_824) ?? 0)
    offer.allowsNetwork = reader.bool("network") ?? true
  }

  /// `gpus: [{name, memory_mb}]`, or one as `gpu: {model, memory_gb}`.
  private static func devices(_ reader: inout FieldReader) -> [GPUDevice] {
    var devices: [GPUDevice] = []
    if let value = reader.value("gpus") {
      guard let array = value.array, array.count <= 1_024 else {
        reader.fail("gpus", "must be an array of at most 1024 objects with name and memory_mb")
        return []
      }
      for (index, element) in array.enumerated() {
        var inner = FieldReader(element, at: "\(reader.pointer(to: "gpus"))/\(index)")
        let name = inner.string("name", limit: 128)
        if name == nil, inner.errors.isEmpty { inner.fail("name", "is missing") }
        let memory = inner.integer("memory_mb", in: 0...1_073_741_824) ?? 0
        devices.append(GPUDevice(name: name ?? "", memoryMiB: Int(memory)))
        reader.add(inner.errors)
      }
    }
    if let value = reader.value("gpu") {
      var inner = FieldReader(value, at: reader.pointer(to: "gpu"))
      let model = inner.string("model", limit: 128)
      if model == nil, inner.errors.isEmpty { inner.fail("model", "is missing") }
      let gibibytes = inner.integer("memory_gb", in: 0...1_048_576) ?? 0
      devices.append(GPUDevice(name: model ?? "", memoryMiB: Int(gibibytes) * 1_024))
      reader.add(inner.errors)
    }
    return devices
  }
}

/// `POST /v1/miners/heartbeat`. What it says of its load is known better here, and passed over.
public struct HeartbeatRequest: Hashable, Sendable {
  /// The leases to renew; nil: all that the miner holds.
  public var leases: [String]?

  public init(_ body: JSONValue) throws(Problem) {
    var reader = FieldReader(body)
    reader.allow("inflight", "status", "metadata", "metrics")
    leases = reader.strings("lease_tokens", count: 10_000, limit: 256)
    let errors = reader.finish()
    guard errors.isEmpty else { throw Problem.invalid(errors) }
  }
}

/// `POST /v1/miners/poll`.
public struct PollRequest: Hashable, Sendable {
  /// How long the answer may wait for work: 15 s unless said, never more than ``longest``.
  public var wait: Seconds

  public static let longest = Seconds(60)

  public init(_ body: JSONValue) throws(Problem) {
    var reader = FieldReader(body)
    let seconds = reader.integer("max_wait_seconds", in: 0...86_400) ?? 15
    wait = min(Seconds(seconds), Self.longest)
    let errors = reader.finish()
    guard errors.isEmpty else { throw Problem.invalid(errors) }
  }
}

/// `POST /v1/miners/{job_id}/result` and `…/fail`: how a try ended.
public struct MinerReport: Hashable, Sendable {
  public var report: TryReport
  /// What the miner measured, as it said it.
  public var metrics: JSONValue?

  /// Bytes of `metrics`.
  public static let longestMetrics = 65_536

  /// Words of `result.status` that say that it did not succeed.
  private static let failures: Set<String> = ["failed", "failure", "error"]
  private static let cancels: Set<String> = ["canceled", "cancelled"]

  /// Reads `…/result`. A result that says itself that it failed is a failure, and is never paid.
  /// - header: `X-Lease-Token`.
  public init(result body: JSONValue, header: String?) throws(Problem) {
    var reader = FieldReader(body)
    let token = Self.token(&reader, header)
    let result = reader.value("result")
    if result == nil {
      reader.fail("result", "is missing")
    } else if result?.object == nil {
      reader.fail("result", "must be an object, not \(result?.kind ?? "")")
    }
    metrics = Self.metrics(&reader)
    let errors = reader.finish()
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    report = TryReport(lease: token, exitCode: 0, result: result, usage: Self.usage(metrics))
    let word = result?["status"]?.string?.lowercased() ?? ""
    if Self.cancels.contains(word) || Self.failures.contains(word) {
      let said = result?["error"]?.string ?? result?["message"]?.string ?? "the result says: \(word)"
      report.error = JobError(Self.cancels.contains(word) ? .canceled : .runnerFailed, said)
      report.exitCode = nil
      report.result = nil
    }
  }

  /// Reads `…/fail`.
  public init(failure body: JSONValue, header: String?) throws(Problem) {
    var reader = FieldReader(body)
    let token = Self.token(&reader, header)
    let code = reader.string("error_code", limit: 128) ?? "ERROR"
    let message = reader.string("error_message", limit: 65_536) ?? "no message given"
    let exit = reader.integer("exit_code", in: 0...255)
    metrics = Self.metrics(&reader)
    let errors = reader.finish()
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    report = TryReport(
      lease: token, exitCode: exit.map(Int.init), error: Self.error(code, message), usage: Self.usage(metrics))
  }

  private static func token(_ reader: inout FieldReader, _ header: String?) -> String {
    let token = reader.string("lease_token", limit: 256)
    guard let token = header ?? token, !token.isEmpty else {
      if reader.errors.isEmpty {
        reader.fail("lease_token", "is missing: give the poll's token here or as X-Lease-Token")
      }
      return ""
    }
    return token
  }

  private static func metrics(_ reader: inout FieldReader) -> JSONValue? {
    guard let value = reader.value("metrics") else { return nil }
    if value.object == nil {
      reader.fail("metrics", "must be an object, not \(value.kind)")
    } else if value.encoded.count > longestMetrics {
      reader.fail("metrics", "has more than \(longestMetrics) bytes")
    }
    return value
  }

  private static func usage(_ metrics: JSONValue?) -> Usage {
    Usage(wallMilliseconds: max(0, metrics?["duration_ms"]?.integer ?? 0))
  }

  /// A code of ours that a miner may give, or its own word in front of the message.
  private static func error(_ code: String, _ message: String) -> JobError {
    let known: [String: JobErrorCode] = ["OOM": .outOfMemory, "CANCELLED": .canceled]
    guard let found = known[code.uppercased()] ?? JobErrorCode(rawValue: code.uppercased()) else {
      return JobError(.runnerFailed, "\(code): \(message)")
    }
    switch found {
    // These are the coordinator's to say.
    case .lost, .expired, .unschedulable, .refused: return JobError(.runnerFailed, "\(code): \(message)")
    default: return JobError(found, message)
    }
  }
}
