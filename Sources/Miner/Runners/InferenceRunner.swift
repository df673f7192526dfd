import Clocks
import JSON
import Marketplace
import MarketplaceClient
import Synchronization
import Wire

/// Asks an OpenAI-compatible service on the miner's host (`POST /v1/chat/completions`).
///
/// The job's payload says `model` and one of `messages`, `prompt` or `input`; sampling options are passed on. The
/// answer's text is the result, and goes to stdout too.
struct InferenceRunner: Runner {
  let transport: HTTPTransport
  let key: String?
  let clock: any MarketClock

  /// Members of the payload that are handed to the service as they are.
  static let passedOn = [
    "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "presence_penalty",
    "frequency_penalty", "response_format", "n", "tools", "tool_choice", "logit_bias", "reasoning_effort",
  ]

  func run(_ context: RunContext) async -> RunResult {
    guard let body = Self.request(for: context.specification.payload) else {
      return RunResult(.failed(JobError(.launchFailed, "payload needs model and one of messages, prompt or input")))
    }
    let start = clock.monotonic
    context.started()
    let asking = Task { () -> RunResult in
      do {
        return try await ask(body, context)
      } catch is CancellationError {
        return RunResult(.failed(JobError(.canceled, "stopped")), wasStopped: true)
      } catch {
        return RunResult(.failed(Self.failure(error, timeout: context.specification.timeout)))
      }
    }
    // There is nothing to be polite to: the connection is closed.
    // A miner that stands still asks nothing more either.
    context.control.handle { request in if request.isEnd { asking.cancel() } }
    var result = await withTaskCancellationHandler {
      await asking.value
    } onCancel: {
      asking.cancel()
    }
    result.usage = Usage(wallMilliseconds: (clock.monotonic - start).milliseconds)
    return result
  }

  private func ask(_ body: JSONValue, _ context: RunContext) async throws -> RunResult {
    var headers: [(name: String, value: String)] = []
    if let key { headers.append(("Authorization", "Bearer " + key)) }
    let request = APIRequest(.post, .root("v1", "chat", "completions"), body: body, headers: headers)
    let answer = try await withThrowingTaskGroup(of: APIAnswer?.self) { group in
      group.addTask { try await transport.call(request) }
      group.addTask { [clock] in
        try await clock.sleep(for: context.specification.timeout)
        return nil
      }
      defer { group.cancelAll() }
      return try await group.next() ?? nil
    }
    guard let answer else { throw ClientError.timedOut(after: context.specification.timeout, last: nil) }
    let json = try answer.json()
    let text = json["choices"]?.array?.first?["message"]?["content"]?.string
    if let text { try await context.stdout.write(Array(text.utf8)) }
    return RunResult(.completed, result: Self.result(text: text, json))
  }

  /// The service's request for a job's payload; nil when that lacks what it needs.
  static func request(for payload: JSONObject) -> JSONValue? {
    guard let model = payload["model"]?.string, !model.isEmpty else { return nil }
    var request = JSONObject([("model", .string(model))])
    if let messages = payload["messages"]?.array, !messages.isEmpty {
      request.append("messages", .array(messages))
    } else if let input = payload["prompt"] ?? payload["input"], !input.isNull {
      let text = input.string ?? input["prompt"]?.string ?? input["text"]?.string ?? input.text
      var messages: [JSONValue] = []
      if let system = payload["system"]?.string { messages.append(["role": "system", "content": .string(system)]) }
      messages.append(["role": "user", "content": .string(text)])
      request.append("messages", .array(messages))
    } else {
      return nil
    }
    for name in passedOn { if let value = payload[name] { request.append(name, value) } }
    request.append("stream", false)
    return .object(request)
  }

  static func result(text: String?, _ answer: JSONValue) -> JSONValue {
    var result = JSONObject([("text", JSONValue(text))])
    if let model = answer["model"] { result.append("model", model) }
    if let reason = answer["choices"]?.array?.first?["finish_reason"] { result.append("finish_reason", reason) }
    if let usage = answer["usage"] { result.append("usage", usage) }
    // More than one choice, or calls of tools: the text alone does not say it.
    if let choices = answer["choices"], text == nil || choices.array?.count != 1 { result.append("choices", choices) }
    return .object(result)
  }

  private static func failure(_ error: any Error, timeout: Seconds) -> JobError {
    switch error {
    case ClientError.timedOut: JobError(.timeout, "no answer within \(timeout.whole) s")
    case ClientError.problem(let problem): JobError(.runnerFailed, "the inference service: \(problem.detail)")
    case let error as ClientError: JobError(.runnerFailed, "the inference service: \(error)")
    case let error as OutputTooLarge: JobError(.outputTooLarge, "\(error)")
    default: JobError(.minerError, "\(error)")
    }
  }
}
