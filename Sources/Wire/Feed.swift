public import JSON
public import Marketplace

/// One message of a live feed, server to client. One JSON object per text message.
public enum FeedMessage: Hashable, Sendable {
  /// Where things stand: everything up to `sequence` is in it.
  case snapshot(epoch: String, sequence: Int64, jobs: [JSONValue], isTruncated: Bool)
  /// A durable change of state. ``JobStatus/end`` is set for the last one.
  case status(JobStatus)
  /// Latest wins; not durable.
  case progress(JobProgress)
  case log(LogPiece)
  /// The keyless market figures.
  case market(JSONObject)
  /// The history that was asked for is gone: forget everything; a snapshot follows.
  case reset(epoch: String, sequence: Int64)
  case pong
  case error(code: String, message: String)
}

/// A durable change of a job's state.
public struct JobStatus: Hashable, Sendable {
  public var sequence: Int64
  public var epoch: String
  public var job: String
  public var status: JobState
  public var attempt: Int
  public var tryNumber: Int
  public var miner: String?
  public var progress: Int
  public var at: Timestamp
  /// More members, for `end`: `exit_code`, `error`, `error_detail`, `cancel`.
  public var summary: JSONObject

  public init(
    sequence: Int64, epoch: String, job: String, status: JobState, attempt: Int, tryNumber: Int, miner: String?,
    progress: Int, at: Timestamp, summary: JSONObject = JSONObject()
  ) {
    self.sequence = sequence
    self.epoch = epoch
    self.job = job
    self.status = status
    self.attempt = attempt
    self.tryNumber = tryNumber
    self.miner = miner
    self.progress = progress
    self.at = at
    self.summary = summary
  }

  /// `end` is the status message of a terminal state.
  public var isEnd: Bool { status.isTerminal }
}

/// How far a running job is.
public struct JobProgress: Hashable, Sendable {
  public var job: String
  public var status: JobState
  public var attempt: Int
  public var tryNumber: Int
  public var progress: Int
  public var message: String?
  public var estimatedCompletion: Timestamp?
  public var at: Timestamp

  public init(
    job: String, status: JobState, attempt: Int, tryNumber: Int, progress: Int, message: String?,
    estimatedCompletion: Timestamp?, at: Timestamp
  ) {
    self.job = job
    self.status = status
    self.attempt = attempt
    self.tryNumber = tryNumber
    self.progress = progress
    self.message = message
    self.estimatedCompletion = estimatedCompletion
    self.at = at
  }
}

/// A run of log bytes. Text that is UTF-8 stands as it is; other bytes stand in base64 and say so.
public struct LogPiece: Hashable, Sendable {
  public var job: String
  public var stream: LogStream
  public var tryNumber: Int
  /// Of the first byte, in that try's stream.
  public var offset: Int64
  public var data: [UInt8]
  /// Set on the last message of a stream: its whole length and digest.
  public var end: LogFact?

  public init(job: String, stream: LogStream, tryNumber: Int, offset: Int64, data: [UInt8], end: LogFact? = nil) {
    self.job = job
    self.stream = stream
    self.tryNumber = tryNumber
    self.offset = offset
    self.data = data
    self.end = end
  }
}

extension FeedMessage {
  public var json: JSONValue {
    switch self {
    case .snapshot(let epoch, let sequence, let jobs, let isTruncated):
      return [
        "type": "snapshot", "epoch": .string(epoch), "seq": .integer(sequence), "jobs": .array(jobs),
        "truncated": .bool(isTruncated),
      ]
    case .status(let status): return status.json
    case .progress(let progress): return progress.json
    case .log(let piece): return piece.json
    case .market(let figures):
      return .object(JSONObject([("type", "market")] + figures.members.map { ($0.name, $0.value) }))
    case .reset(let epoch, let sequence):
      return ["type": "reset", "epoch": .string(epoch), "seq": .integer(sequence)]
    case .pong: return ["type": "pong"]
    case .error(let code, let message):
      return ["type": "error", "code": .string(code), "message": .string(message)]
    }
  }

  public init(json: JSONValue) throws(MalformedMessage) {
    let reader = MessageReader(json: json)
    switch try reader.string("type") {
    case "snapshot":
      self = .snapshot(
        epoch: try reader.string("epoch"), sequence: try reader.integer("seq"), jobs: try reader.array("jobs"),
        isTruncated: json["truncated"]?.bool ?? false)
    case "status", "end": self = .status(try JobStatus(json: json))
    case "progress": self = .progress(try JobProgress(json: json))
    case "log": self = .log(try LogPiece(json: json))
    case "market": self = .market(json.object ?? JSONObject())
    case "reset": self = .reset(epoch: try reader.string("epoch"), sequence: try reader.integer("seq"))
    case "pong": self = .pong
    case "error": self = .error(code: try reader.string("code"), message: try reader.string("message"))
    case let other: throw MalformedMessage("unknown message type \"\(other.prefix(32))\"")
    }
  }
}

extension JobStatus {
  var json: JSONValue {
    var object = JSONObject()
    object.append("type", .string(isEnd ? "end" : "status"))
    object.append("seq", .integer(sequence))
    object.append("epoch", .string(epoch))
    object.append("job_id", .string(job))
    object.append("status", .string(status.rawValue))
    object.append("state", .string(status.aitbcWord))
    object.append("attempt_no", .integer(Int64(attempt)))
    object.append("try", .integer(Int64(tryNumber)))
    object.append("miner_id", JSONValue(miner))
    object.append("progress", .integer(Int64(progress)))
    object.append("at", .string(at.description))
    for member in summary.members { object[member.name] = member.value }
    return .object(object)
  }

  init(json: JSONValue) throws(MalformedMessage) {
    let reader = MessageReader(json: json)
    guard let status = JobState(rawValue: try reader.string("status")) else {
      throw MalformedMessage("status is not a known state")
    }
    self.init(
      sequence: try reader.integer("seq"), epoch: try reader.string("epoch"), job: try reader.string("job_id"),
      status: status, attempt: Int(clamping: json["attempt_no"]?.integer ?? 1),
      tryNumber: Int(clamping: json["try"]?.integer ?? 0), miner: json["miner_id"]?.string,
      progress: Int(clamping: json["progress"]?.integer ?? 0),
      at: json["at"]?.string.flatMap { Timestamp(rfc3339: $0) } ?? Timestamp(milliseconds: 0),
      summary: JSONObject(
        (json.object?.members ?? []).filter { Self.extra.contains($0.name) }.map { ($0.name, $0.value) }))
  }

  private static let extra: Set<String> = ["exit_code", "error", "error_detail", "cancel", "cost", "results_available"]
}

extension JobProgress {
  var json: JSONValue {
    [
      "type": "progress", "job_id": .string(job), "status": .string(status.rawValue),
      "state": .string(status.aitbcWord), "attempt_no": .integer(Int64(attempt)), "try": .integer(Int64(tryNumber)),
      "progress": .integer(Int64(progress)), "message": JSONValue(message),
      "estimated_completion": JSONValue(estimatedCompletion?.description), "at": .string(at.description),
    ]
  }

  init(json: JSONValue) throws(MalformedMessage) {
    let reader = MessageReader(json: json)
    self.init(
      job: try reader.string("job_id"), status: json["status"]?.string.flatMap(JobState.init(rawValue:)) ?? .running,
      attempt: Int(clamping: json["attempt_no"]?.integer ?? 1), tryNumber: Int(clamping: json["try"]?.integer ?? 0),
      progress: Int(clamping: try reader.integer("progress")), message: json["message"]?.string,
      estimatedCompletion: json["estimated_completion"]?.string.flatMap { Timestamp(rfc3339: $0) },
      at: json["at"]?.string.flatMap { Timestamp(rfc3339: $0) } ?? Timestamp(milliseconds: 0))
  }
}

extension LogPiece {
  var json: JSONValue {
    var object = JSONObject([
      ("type", "log"), ("job_id", .string(job)), ("stream", .string(stream.rawValue)),
      ("try", .integer(Int64(tryNumber))), ("offset", .integer(offset)),
    ])
    if let text = String(validating: data, as: UTF8.self) {
      object.append("data", .string(text))
    } else {
      object.append("data", .string(Base64.encode(data)))
      object.append("encoding", "base64")
    }
    if let end {
      object.append("eof", true)
      object.append("length", .integer(end.length))
      object.append("sha256", .string(end.sha256))
    }
    return .object(object)
  }

  init(json: JSONValue) throws(MalformedMessage) {
    let reader = MessageReader(json: json)
    guard let stream = LogStream(rawValue: try reader.string("stream")) else {
      throw MalformedMessage("stream must be stdout or stderr")
    }
    let text = try reader.string("data")
    let data: [UInt8]
    if json["encoding"]?.string == "base64" {
      guard let bytes = Base64.decode(text) else { throw MalformedMessage("data is not base64") }
      data = bytes
    } else {
      data = Array(text.utf8)
    }
    self.init(
      job: try reader.string("job_id"), stream: stream, tryNumber: Int(clamping: json["try"]?.integer ?? 0),
      offset: try reader.integer("offset"), data: data, end: json["eof"]?.bool == true ? LogFact(json: json) : nil)
  }
}
