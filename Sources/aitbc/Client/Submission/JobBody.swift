import JSON
import Marketplace

/// Puts the body of `POST /v1/jobs` together from options. Pure: files were read before.
struct JobBody {
  /// What was read from files.
  struct Material {
    /// `--file`.
    var base: JSONObject?
    /// `--payload`.
    var payload: JSONObject?
    /// The text of `--input` for a model.
    var modelInput: String?
    /// Uploaded files.
    var inputs: [JobInputFile] = []
    /// `--output` where it is no format: the guide's place for a model's output.
    var outputFolder: String?
  }

  let command: [String]
  /// The runner's name in its old place, `submit inference …`.
  let runner: String?
  let work: WorkOptions
  let constraints: ConstraintOptions
  let treatment: TreatmentOptions

  /// Throws ``CommandFailure`` (usage) when the options contradict each other.
  func make(_ material: Material) throws(CommandFailure) -> JSONValue {
    var body = material.base ?? JSONObject()
    try shape(&body, material)
    if !material.inputs.isEmpty {
      body["inputs"] = .array((body["inputs"]?.array ?? []) + material.inputs.map(\.json))
    }
    if !work.env.isEmpty { body["env"] = merged(body["env"], work.env) }
    if !work.artifact.isEmpty { body["artifacts"] = .array(work.artifact.map(JSONValue.string)) }
    treat(&body)
    constrain(&body)
    return .object(body)
  }

  private func shape(_ body: inout JSONObject, _ material: Material) throws(CommandFailure) {
    let runner = work.type ?? runner
    let isModel = work.model != nil || work.prompt != nil || runner == "inference"
    if !command.isEmpty {
      guard !isModel, runner == nil || runner == "process", material.payload == nil else {
        throw CommandFailure(.usage, "a command can't stand beside --model, --prompt, --type or --payload")
      }
      for name in ["payload", "model", "input", "prompt"] { body[name] = nil }
      body["command"] = .array(command.map(JSONValue.string))
    } else if let payload = material.payload {
      var payload = payload
      if let runner { payload["type"] = .string(runner) }
      if let model = work.model { payload["model"] = .string(model) }
      if let prompt = work.prompt { payload["prompt"] = .string(prompt) }
      guard payload["type"] != nil else { throw CommandFailure(.usage, "--payload needs --type, or a member \"type\"") }
      for name in ["command", "model", "input", "prompt"] { body[name] = nil }
      body["payload"] = .object(payload)
    } else if isModel {
      ask(&body, material)
    } else if let runner {
      body["payload"] = .object(JSONObject([("type", .string(runner))]))
    } else if material.base == nil {
      throw CommandFailure(
        .usage, "nothing to run",
        hint: "give a command after --, or --model, or --type with --payload, or --file JOB.json")
    }
  }

  /// The guide's shape with a model; the payload's where no model is named.
  private func ask(_ body: inout JSONObject, _ material: Material) {
    if var payload = body["payload"]?.object {
      if let model = work.model { payload["model"] = .string(model) }
      if let prompt = work.prompt { payload["prompt"] = .string(prompt) }
      if let input = material.modelInput { payload["input"] = .string(input) }
      body["payload"] = .object(payload)
      return
    }
    if work.model == nil, body["model"] == nil {
      var payload = JSONObject([("type", "inference")])
      if let prompt = work.prompt { payload.append("prompt", .string(prompt)) }
      if let input = material.modelInput { payload.append("input", .string(input)) }
      body["payload"] = .object(payload)
      return
    }
    if let model = work.model { body["model"] = .string(model) }
    if let prompt = work.prompt { body["prompt"] = .string(prompt) }
    if let input = material.modelInput { body["input"] = .string(input) }
    if let folder = material.outputFolder { body["output_config"] = ["path": .string(folder)] }
  }

  private func treat(_ body: inout JSONObject) {
    if let name = treatment.name { body["name"] = .string(name) }
    if !treatment.label.isEmpty { body["labels"] = merged(body["labels"], treatment.label) }
    if let priority = treatment.priority { body["priority"] = .string(priority.rawValue) }
    if let ttl = treatment.ttl { body["ttl_seconds"] = .integer(ttl.seconds.whole) }
    if let timeout = treatment.timeout { body["timeout_seconds"] = .integer(timeout.seconds.whole) }
    if let count = treatment.maxTries { body["max_tries"] = .integer(Int64(count)) }
    if !treatment.retryOn.isEmpty {
      body["retry_on"] = .array(treatment.retryOn.map { .string($0.code.rawValue) })
    }
    if let key = treatment.runKey { body["run_key"] = .string(key) }
    if treatment.strict { body["strict"] = true }
    if let time = treatment.notBefore { body["not_before"] = .string(time) }
    if treatment.failFast { body["fail_fast"] = true }
  }

  private func constrain(_ body: inout JSONObject) {
    var object = body["constraints"]?.object ?? JSONObject()
    let texts = [
      ("gpu", constraints.gpu), ("cuda", constraints.cuda), ("region", constraints.region),
      ("max_price", constraints.maxPrice),
    ]
    for (name, text) in texts { if let text { object[name] = .string(text) } }
    let numbers = [
      ("gpu_count", constraints.gpuCount), ("min_vram_gb", constraints.minVramGb), ("cpus", constraints.cpus),
      ("memory_mb", constraints.memoryMb),
    ]
    for (name, number) in numbers { if let number { object[name] = .integer(Int64(number)) } }
    if !constraints.minerLabel.isEmpty { object["labels"] = merged(object["labels"], constraints.minerLabel) }
    if constraints.network { object["network"] = true }
    if !object.isEmpty { body["constraints"] = .object(object) }
  }

  private func merged(_ value: JSONValue?, _ pairs: [NameValue]) -> JSONValue {
    var object = value?.object ?? JSONObject()
    for pair in pairs { object[pair.name] = .string(pair.value) }
    return .object(object)
  }
}
