public import JSON

extension JobSpecification {
  /// The stored form. Members stand only when they differ from their defaults, so that equal jobs are equal bytes
  /// whichever way they were written, and rows stay small.
  public var json: JSONValue {
    var object = JSONObject()
    object.append("runner", .string(runner))
    if let name { object.append("name", .string(name)) }
    if !command.isEmpty { object.append("command", .array(command.map(JSONValue.string))) }
    if !environment.isEmpty {
      object.append("env", .object(JSONObject(environment.map { ($0.name, .string($0.value)) })))
    }
    if !inputs.isEmpty { object.append("inputs", .array(inputs.map(\.json))) }
    if !artifacts.isEmpty { object.append("artifacts", .array(artifacts.map(JSONValue.string))) }
    if !payload.isEmpty { object.append("payload", .object(payload)) }
    if constraints != Constraints() { object.append("constraints", constraints.json) }
    if priority != .normal { object.append("priority", .string(priority.word)) }
    if timeToLive != Self.defaultTimeToLive { object.append("ttl_seconds", .integer(timeToLive.whole)) }
    if timeout != Self.defaultTimeout { object.append("timeout_seconds", .integer(timeout.whole)) }
    if maxTries != Self.defaultMaxTries { object.append("max_tries", .integer(Int64(maxTries))) }
    if let retryOn { object.append("retry_on", .array(retryOn.map { .string($0.rawValue) })) }
    if let runKey { object.append("run_key", .string(runKey)) }
    if isStrict { object.append("strict", true) }
    if let notBefore { object.append("not_before", .integer(notBefore.milliseconds)) }
    if !labels.isEmpty { object.append("labels", .object(labels.sortedJSON)) }
    if failsFast { object.append("fail_fast", true) }
    if let payment {
      object.append("payment_amount", .decimal(payment.amount))
      object.append("payment_currency", .string(payment.currency))
    }
    return .object(object)
  }

  /// Equal bytes exactly for the same job, whatever order the members of its objects (environment, labels, payload)
  /// were written in; hashed for run keys.
  public var canonical: [UInt8] { json.canonical }

  /// Reads ``json`` back. Nil when it is not that (a damaged row).
  public init?(json: JSONValue) {
    guard let object = json.object, let runner = object["runner"]?.string else { return nil }
    self.init(
      runner: runner, command: object["command"]?.array?.compactMap(\.string) ?? [],
      payload: object["payload"]?.object ?? JSONObject())
    name = object["name"]?.string
    environment = (object["env"]?.object?.members ?? []).map {
      EnvironmentVariable(name: $0.name, value: $0.value.string ?? "")
    }
    inputs = (object["inputs"]?.array ?? []).compactMap(JobInputFile.init(json:))
    artifacts = object["artifacts"]?.array?.compactMap(\.string) ?? []
    if let value = object["constraints"] { constraints = Constraints(json: value) }
    if let word = object["priority"]?.string { priority = Priority(word: word) ?? .normal }
    if let value = object["ttl_seconds"]?.integer { timeToLive = Seconds(value) }
    if let value = object["timeout_seconds"]?.integer { timeout = Seconds(value) }
    if let value = object["max_tries"]?.integer { maxTries = Int(value) }
    retryOn = object["retry_on"]?.array?.compactMap { $0.string.flatMap(JobErrorCode.init(rawValue:)) }
    runKey = object["run_key"]?.string
    isStrict = object["strict"]?.bool ?? false
    notBefore = object["not_before"]?.integer.map(Timestamp.init(milliseconds:))
    labels = Dictionary(labelsIn: object["labels"])
    failsFast = object["fail_fast"]?.bool ?? false
    if let amount = object["payment_amount"]?.numberText {
      payment = PaymentNote(amount: amount, currency: object["payment_currency"]?.string ?? "AITBC")
    }
  }
}

extension JobInputFile {
  public var json: JSONValue {
    var object = JSONObject([("path", .string(path)), ("sha256", .string(sha256))])
    if isExecutable { object.append("executable", true) }
    return .object(object)
  }

  public init?(json: JSONValue) {
    guard let path = json["path"]?.string, let sha256 = json["sha256"]?.string else { return nil }
    self.init(path: path, sha256: sha256, isExecutable: json["executable"]?.bool ?? false)
  }
}

extension [String: String] {
  /// Sorted by name, so that equal dictionaries are equal text.
  public var sortedJSON: JSONObject {
    JSONObject(sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
  }

  /// The string members of an object; empty for anything else.
  public init(labelsIn json: JSONValue?) {
    self.init(
      (json?.object?.members ?? []).compactMap { member in member.value.string.map { (member.name, $0) } },
      uniquingKeysWith: { $1 })
  }
}
