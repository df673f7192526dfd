public import JSON
public import Marketplace

/// What the coordinator knows about a job beyond its row, for its document.
public struct JobContext: Hashable, Sendable {
  /// Why it waits; only for pending jobs.
  public var pendingReason: JSONValue?
  /// 1 is the next.
  public var queuePosition: Int?
  /// The position may be higher: counting stopped.
  public var isQueuePositionMinimum = false
  public var estimatedCost: Money?
  public var estimatedSeconds: Int64?
  /// When a miner will probably take it; only for pending jobs.
  public var estimatedStart: Timestamp?
  public var estimatedCompletion: Timestamp?
  /// Decides whether the results are still here. Nil: only what the row says.
  public var now: Timestamp?

  public init() {}
}

extension Job {
  /// The job as REST and the snapshot show it: the seed's shape, AITBC's aliases, and ours.
  public func document(_ context: JobContext = JobContext()) -> JSONValue {
    var object = JSONObject()
    object.append("job_id", .string(id.rawValue))
    object.append("name", JSONValue(specification.name))
    object.append("status", .string(state.rawValue))
    object.append("state", .string(state.aitbcWord))
    object.append("progress", .integer(Int64(progress)))
    object.append("progress_message", JSONValue(progressMessage))
    object.append("miner_id", JSONValue(miner?.rawValue))
    object.append("assigned_miner_id", JSONValue(miner?.rawValue))
    appendTimes(to: &object)
    object.append("estimated_start", JSONValue(context.estimatedStart?.description))
    object.append("estimated_completion", JSONValue(context.estimatedCompletion?.description))
    appendHistory(to: &object)
    appendSpecification(to: &object)
    appendOutcome(to: &object, isGone: context.now.map { resultsGone(at: $0) != nil } ?? (resultPurgedAt != nil))
    object.append("pending_reason", context.pendingReason ?? .null)
    object.append("queue_position", JSONValue(context.queuePosition))
    if context.isQueuePositionMinimum { object.append("queue_position_is_minimum", true) }
    object.append("estimated_cost", JSONValue(context.estimatedCost?.description))
    object.append("estimated_time_seconds", JSONValue(context.estimatedSeconds))
    return .object(object)
  }

  private func appendTimes(to object: inout JSONObject) {
    let times: [(String, Timestamp?)] = [
      ("created_at", createdAt), ("requested_at", createdAt), ("assigned_at", assignedAt), ("started_at", startedAt),
      ("completed_at", completedAt), ("finished_at", completedAt), ("expires_at", expiresAt),
      ("available_at", availableAt > createdAt && state == .pending ? availableAt : nil),
      ("result_expires_at", resultExpiresAt), ("results_purged_at", resultPurgedAt),
    ]
    for (name, time) in times { object.append(time: time, as: name) }
  }

  private func appendHistory(to object: inout JSONObject) {
    object.append("attempt_no", .integer(Int64(attempt)))
    object.append("try", .integer(Int64(lastTry)))
    object.append("tries_used", .integer(Int64(triesUsed)))
    object.append("rerun_of", JSONValue(rerunOf?.rawValue))
    object.append("rerun_reason", JSONValue(rerunReason))
  }

  private func appendSpecification(to object: inout JSONObject) {
    let job = specification
    object.append("type", .string(job.runner))
    object.append("command", job.command.isEmpty ? .null : .array(job.command.map(JSONValue.string)))
    object.append("payload", job.payload.isEmpty ? .null : .object(job.payload))
    object.append("constraints", job.constraints.json)
    object.append("inputs", .array(job.inputs.map(\.json)))
    object.append("artifacts", .array(job.artifacts.map(JSONValue.string)))
    object.append("env", .object(JSONObject(job.environment.map { ($0.name, .string($0.value)) })))
    object.append("labels", .object(job.labels.sortedJSON))
    object.append("priority", .string(priority.word))
    object.append("ttl_seconds", .integer(job.timeToLive.whole))
    object.append("timeout_seconds", .integer(job.timeout.whole))
    object.append("max_tries", .integer(Int64(job.maxTries)))
    let retried = job.retryOn ?? JobErrorCode.retriedByDefault.sorted { $0.rawValue < $1.rawValue }
    object.append("retry_on", .array(retried.map { .string($0.rawValue) }))
    object.append("run_key", JSONValue(job.runKey))
    object.append("strict", .bool(job.isStrict))
    object.append("not_before", JSONValue(job.notBefore?.description))
    if let payment = job.payment {
      object.append("payment_amount", .decimal(payment.amount))
      object.append("payment_currency", .string(payment.currency))
    }
  }

  private func appendOutcome(to object: inout JSONObject, isGone: Bool) {
    object.append("exit_code", JSONValue(exitCode))
    object.append("error", JSONValue(error?.text))
    object.append("error_detail", error?.json ?? .null)
    object.append("cancel", cancel?.json ?? .null)
    object.append("cost", .string(cost.description))
    object.append("result", isGone ? .null : result ?? .null)
    object.append("results_available", .bool(state.isTerminal && !isGone))
  }
}

extension JobError {
  public var json: JSONValue { ["code": .string(code.rawValue), "message": .string(message)] }
}

extension CancelRequest {
  public var json: JSONValue {
    [
      "requested_at": .string(requestedAt.description), "requested_at_unix": .integer(requestedAt.unixSeconds),
      "reason": JSONValue(reason), "grace_seconds": .integer(grace.whole), "outcome": .string(outcome.rawValue),
    ]
  }
}

extension JSONObject {
  /// A moment under `name` (RFC 3339) and its twin `name_unix` (whole seconds); nulls when there is none.
  public mutating func append(time: Timestamp?, as name: String) {
    append(name, JSONValue(time?.description))
    append(name + "_unix", JSONValue(time?.unixSeconds))
  }
}
