public import JSON
public import Marketplace

/// Reads the three body shapes of `POST /v1/jobs` into one specification: a command, AITBC's payload with
/// constraints, and the guide's model with requirements.
public enum SubmitRequest {
  /// Arguments of a command.
  public static let maximumArguments = 1_000
  /// Bytes of a command with its arguments, below what `execve` takes in one string.
  public static let maximumArgumentBytes = 100_000
  public static let maximumInputs = 1_000
  public static let maximumTries: Int64 = 100

  /// Throws ``Problem`` 422 that names every wrong field. `pointer` is where the job stands in the body.
  public static func parse(_ body: JSONValue, at pointer: String = "") throws(Problem) -> JobSpecification {
    var reader = FieldReader(body, at: pointer)
    var specification = shape(&reader, at: pointer)
    options(&reader, at: pointer, into: &specification)
    let errors = reader.finish()
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    return specification
  }

  private static func shape(_ reader: inout FieldReader, at pointer: String) -> JobSpecification {
    if reader.has("command") { return command(&reader) }
    reader.allow("command", "payload", "model")
    if reader.has("payload") { return payload(&reader, at: pointer) }
    if reader.has("model") { return model(&reader, at: pointer) }
    reader.fail("command", "is missing: give command (a program), payload (with type) or model")
    return JobSpecification(runner: "process")
  }

  private static func command(_ reader: inout FieldReader) -> JobSpecification {
    reader.allow("payload", "model")
    for other in ["payload", "model"] where reader.has(other) {
      reader.fail(other, "can't stand beside command")
      reader.allow(other)
    }
    let command = reader.strings("command", count: maximumArguments, limit: maximumArgumentBytes) ?? []
    check(command, "command", &reader)
    return JobSpecification(runner: "process", command: command)
  }

  private static func check(_ command: [String], _ name: String, _ reader: inout FieldReader) {
    guard reader.errors.isEmpty else { return }
    if command.first?.isEmpty ?? true {
      reader.fail(name, "must name a program")
    } else if command.reduce(0, { $0 + $1.utf8.count + 1 }) > maximumArgumentBytes {
      reader.fail(name, "is longer than \(maximumArgumentBytes) bytes in all")
    }
  }

  private static func payload(_ reader: inout FieldReader, at pointer: String) -> JobSpecification {
    if reader.has("model") {
      reader.fail("model", "can't stand beside payload")
      reader.allow("model")
    }
    guard let value = reader.value("payload") else {
      reader.fail("payload", "must be an object")
      return JobSpecification(runner: "process")
    }
    var inner = FieldReader(value, at: pointer + "/payload")
    let runner = inner.string("type", limit: 64)
    if runner == nil, inner.errors.isEmpty { inner.fail("type", "is missing: it names the runner") }
    if let runner, runner.isEmpty { inner.fail("type", "must name a runner") }
    var command: [String] = []
    if runner == "process" {
      command = inner.strings("command", count: maximumArguments, limit: maximumArgumentBytes) ?? []
      check(command, "command", &inner)
    }
    reader.add(inner.errors)
    return JobSpecification(runner: runner ?? "process", command: command, payload: value.object ?? JSONObject())
  }

  private static func model(_ reader: inout FieldReader, at pointer: String) -> JobSpecification {
    var payload = JSONObject([("type", "inference")])
    if let model = reader.string("model", limit: 256) { payload.append("model", .string(model)) }
    for name in ["input", "prompt", "output_config"] {
      if let value = reader.value(name) { payload.append(name, value) }
    }
    var specification = JobSpecification(runner: "inference", payload: payload)
    if let value = reader.value("requirements") {
      var inner = FieldReader(value, at: pointer + "/requirements")
      specification.constraints.gpu = inner.string("gpu_type", limit: 128)
      specification.constraints.gpuCount = inner.integer("gpu_count", in: 1...1024).map(Int.init)
      specification.constraints.minimumVRAM = inner.integer("min_vram_gb", in: 1...65_536).map(Int.init)
      reader.add(inner.finish())
      if reader.has("constraints") { reader.fail("constraints", "can't stand beside requirements") }
    }
    return specification
  }

  private static func options(_ reader: inout FieldReader, at pointer: String, into job: inout JobSpecification) {
    job.name = reader.string("name", limit: 256)
    environment(&reader, into: &job)
    inputs(&reader, at: pointer, into: &job)
    job.artifacts = reader.strings("artifacts", count: 1_000, limit: 1_024) ?? []
    if let value = reader.value("constraints") {
      let (constraints, errors) = ConstraintsRequest.parse(value, at: pointer + "/constraints")
      if job.constraints == Constraints() { job.constraints = constraints }
      reader.add(errors)
    }
    if let word = reader.string("priority", limit: 16) {
      if let priority = Priority(word: word) {
        job.priority = priority
      } else {
        reader.fail("priority", "must be low, normal, high or urgent")
      }
    }
    if let value = reader.duration("ttl_seconds", atMost: .days(366)) { job.timeToLive = value }
    if let value = reader.duration("timeout_seconds", atMost: .days(366)) { job.timeout = value }
    if let value = reader.integer("max_tries", in: 1...maximumTries) { job.maxTries = Int(value) }
    retries(&reader, into: &job)
    job.runKey = reader.string("run_key", limit: 256)
    if job.runKey == "" { reader.fail("run_key", "must not be empty") }
    job.isStrict = reader.bool("strict") ?? false
    if job.isStrict, job.runKey == nil { reader.fail("strict", "needs a run_key") }
    job.notBefore = reader.timestamp("not_before")
    job.labels = Dictionary(
      reader.pairs("labels", count: 64, limit: 1_024) ?? [], uniquingKeysWith: { $1 })
    job.failsFast = reader.bool("fail_fast") ?? false
    payment(&reader, into: &job)
  }

  private static func retries(_ reader: inout FieldReader, into job: inout JobSpecification) {
    let known = JobErrorCode.retriable
    guard let words = reader.strings("retry_on", count: known.count, limit: 64) else { return }
    var codes: Set<JobErrorCode> = []
    for (index, word) in words.enumerated() {
      if let code = known.first(where: { $0.rawValue == word.uppercased() }) {
        codes.insert(code)
      } else {
        reader.fail("retry_on", "\(index)", "must be one of " + known.map(\.rawValue).joined(separator: ", "))
      }
    }
    job.retryOn = codes.sorted { $0.rawValue < $1.rawValue }
  }

  private static func environment(_ reader: inout FieldReader, into job: inout JobSpecification) {
    let pairs = reader.pairs("env", count: 256, limit: 65_536) ?? []
    for (name, value) in pairs {
      let letters = name.utf8
      let isWord = letters.allSatisfy {
        (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 95
      }
      if !isWord || (letters.first.map { (48...57).contains($0) } ?? true) {
        reader.fail("env", name, "names must be letters, digits and _, not beginning with a digit")
      } else if name.hasPrefix("AITBC_") {
        reader.fail("env", name, "names beginning with AITBC_ are set by the miner")
      }
      job.environment.append(EnvironmentVariable(name: name, value: value))
    }
    job.environment.sort { $0.name < $1.name }
  }

  private static func inputs(_ reader: inout FieldReader, at pointer: String, into job: inout JobSpecification) {
    guard let value = reader.value("inputs") else { return }
    guard let array = value.array, array.count <= maximumInputs else {
      return reader.fail("inputs", "must be an array of at most \(maximumInputs) objects with path and sha256")
    }
    var paths: Set<String> = []
    for (index, element) in array.enumerated() {
      var inner = FieldReader(element, at: "\(pointer)/inputs/\(index)")
      let path = inner.string("path", limit: 1_024) ?? ""
      let sha256 = inner.string("sha256", limit: 64) ?? ""
      if inner.errors.isEmpty {
        if !paths.insert(path).inserted { inner.fail("path", "stands twice") }
        let isHex = sha256.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
        if sha256.utf8.count != 64 || !isHex { inner.fail("sha256", "must be 64 lower-case hex digits") }
      }
      job.inputs.append(JobInputFile(path: path, sha256: sha256, isExecutable: inner.bool("executable") ?? false))
      reader.add(inner.finish())
    }
    job.inputs.sort { $0.path < $1.path }
  }

  private static func payment(_ reader: inout FieldReader, into job: inout JobSpecification) {
    let amount = reader.value("payment_amount")
    let currency = reader.string("payment_currency", limit: 16)
    guard let amount else { return }
    guard let text = amount.numberText else { return reader.fail("payment_amount", "must be a number") }
    job.payment = PaymentNote(amount: text, currency: currency ?? "AITBC")
  }
}

/// Reads `constraints`.
enum ConstraintsRequest {
  static func parse(_ value: JSONValue, at pointer: String) -> (Constraints, [FieldError]) {
    var reader = FieldReader(value, at: pointer)
    var constraints = Constraints()
    constraints.gpu = reader.filledString("gpu", limit: 128)
    constraints.gpuCount = reader.integer("gpu_count", in: 1...1024).map(Int.init)
    constraints.minimumVRAM = reader.integer("min_vram_gb", in: 1...65_536).map(Int.init)
    constraints.cuda = reader.filledString("cuda", limit: 32)
    constraints.models = (reader.strings("models", count: 100, limit: 256) ?? []).sorted()
    constraints.region = reader.filledString("region", limit: 64)
    constraints.maximumPrice = reader.money("max_price")
    constraints.labels = Dictionary(
      reader.pairs("labels", count: 64, limit: 1_024) ?? [], uniquingKeysWith: { $1 })
    constraints.cpus = reader.integer("cpus", in: 1...65_536).map(Int.init)
    constraints.memoryMiB = reader.integer("memory_mb", in: 1...1_073_741_824).map(Int.init)
    constraints.network = reader.bool("network") ?? false
    return (constraints, reader.finish())
  }
}
