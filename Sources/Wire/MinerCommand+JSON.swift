public import JSON
import Marketplace

extension MinerCommand {
  public var json: JSONValue {
    switch self {
    case .welcome(let welcome): welcome.json
    case .assign(let assignment): assignment.json
    case .cancel(let lease, let grace):
      ["type": "cancel", "lease_token": .string(lease), "grace_ms": .integer(grace.milliseconds)]
    case .logAck(let lease, let stream, let offset):
      [
        "type": "log_ack", "lease_token": .string(lease), "stream": .string(stream.rawValue),
        "offset": .integer(offset),
      ]
    case .leases(let renewed, let lost):
      [
        "type": "lease",
        "renewed": .object(JSONObject(renewed.sorted { $0.key < $1.key }.map { ($0.key, .integer($0.value)) })),
        "lost": .array(lost.map(JSONValue.string)),
      ]
    case .settled(let lease, let accepted):
      ["type": "settled", "lease_token": .string(lease), "accepted": .bool(accepted)]
    case .drain: ["type": "drain"]
    case .error(let code, let message, let lease):
      [
        "type": "error", "code": .string(code), "message": .string(message), "lease_token": JSONValue(lease),
      ]
    }
  }

  public init(json: JSONValue) throws(MalformedMessage) {
    let reader = MessageReader(json: json)
    switch try reader.string("type") {
    case "welcome": self = .welcome(try MinerWelcome(json: json))
    case "assign": self = .assign(try Assignment(json: json))
    case "cancel":
      self = .cancel(
        lease: try reader.string("lease_token"), grace: Seconds(milliseconds: try reader.integer("grace_ms")))
    case "log_ack":
      guard let stream = LogStream(rawValue: try reader.string("stream")) else {
        throw MalformedMessage("stream must be stdout or stderr")
      }
      self = .logAck(
        lease: try reader.string("lease_token"), stream: stream, offset: try reader.integer("offset"))
    case "lease":
      var renewed: [String: Int64] = [:]
      for member in json["renewed"]?.object?.members ?? [] { renewed[member.name] = member.value.integer }
      self = .leases(renewed: renewed, lost: try reader.strings("lost"))
    case "settled":
      self = .settled(lease: try reader.string("lease_token"), accepted: json["accepted"]?.bool ?? false)
    case "drain": self = .drain
    case "error":
      self = .error(
        code: try reader.string("code"), message: try reader.string("message"), lease: json["lease_token"]?.string)
    case let other: throw MalformedMessage("unknown message type \"\(other.prefix(32))\"")
    }
  }
}

extension MinerWelcome {
  var json: JSONValue {
    [
      "type": "welcome", "miner_id": .string(miner.rawValue), "heartbeat_ms": .integer(heartbeat.milliseconds),
      "resumed": .array(
        resumed.map {
          [
            "lease_token": .string($0.lease), "lease_ms": .integer($0.leaseMilliseconds),
            "stdout": .integer($0.stdoutOffset), "stderr": .integer($0.stderrOffset),
          ]
        }),
      "lost": .array(lost.map(JSONValue.string)),
    ]
  }

  init(json: JSONValue) throws(MalformedMessage) {
    let reader = MessageReader(json: json)
    guard let miner = MinerID(try reader.string("miner_id")) else { throw MalformedMessage("miner_id is not one") }
    var resumed: [ResumedLease] = []
    for element in try reader.array("resumed") {
      let lease = MessageReader(json: element)
      resumed.append(
        ResumedLease(
          lease: try lease.string("lease_token"), leaseMilliseconds: try lease.integer("lease_ms"),
          stdoutOffset: try lease.integer("stdout"), stderrOffset: try lease.integer("stderr")))
    }
    self.init(
      miner: miner, heartbeat: Seconds(milliseconds: try reader.integer("heartbeat_ms")), resumed: resumed,
      lost: try reader.strings("lost"))
  }
}

extension Assignment {
  var json: JSONValue {
    [
      "type": "assign",
      "job": [
        "job_id": .string(job.rawValue), "try": .integer(Int64(tryNumber)), "attempt_no": .integer(Int64(attempt)),
        "specification": specification.json,
      ],
      "try": .integer(Int64(tryNumber)), "lease_token": .string(lease), "lease_ms": .integer(leaseMilliseconds),
    ]
  }

  init(json: JSONValue) throws(MalformedMessage) {
    let reader = MessageReader(json: json)
    guard let value = json["job"], let specification = value["specification"].flatMap(JobSpecification.init(json:))
    else { throw MalformedMessage("job must be an object with a specification") }
    let job = MessageReader(json: value)
    guard let id = JobID(try job.string("job_id")) else { throw MalformedMessage("job_id is not one") }
    self.init(
      job: id, tryNumber: Int(clamping: try job.integer("try")), attempt: Int(clamping: try job.integer("attempt_no")),
      lease: try reader.string("lease_token"), leaseMilliseconds: try reader.integer("lease_ms"),
      specification: specification)
  }
}
