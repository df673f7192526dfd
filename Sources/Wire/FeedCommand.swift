public import JSON
public import Marketplace

/// What a client says on a live feed.
public enum FeedCommand: Hashable, Sendable {
  case auth(apiKey: String)
  /// Turns on the logs of one job, from these offsets of its present try.
  case subscribe(job: String, logs: Bool, offsets: [LogStream: Int64])
  case unsubscribe(job: String)
  /// Everything after `sequence`, in order, or `reset`.
  case resume(epoch: String, after: Int64)
  case ping

  public var json: JSONValue {
    switch self {
    case .auth(let key): return ["type": "auth", "api_key": .string(key)]
    case .subscribe(let job, let logs, let offsets):
      let members = LogStream.allCases.compactMap { stream in
        offsets[stream].map { (stream.rawValue, JSONValue.integer($0)) }
      }
      return [
        "type": "subscribe", "job_id": .string(job), "logs": .bool(logs), "log_offsets": .object(JSONObject(members)),
      ]
    case .unsubscribe(let job): return ["type": "unsubscribe", "job_id": .string(job)]
    case .resume(let epoch, let after): return ["type": "resume", "epoch": .string(epoch), "after": .integer(after)]
    case .ping: return ["type": "ping"]
    }
  }

  public init(json: JSONValue) throws(MalformedMessage) {
    let reader = MessageReader(json: json)
    switch try reader.string("type") {
    case "auth": self = .auth(apiKey: try reader.string("api_key"))
    case "subscribe":
      var offsets: [LogStream: Int64] = [:]
      for member in json["log_offsets"]?.object?.members ?? [] {
        guard let stream = LogStream(rawValue: member.name), let offset = member.value.integer, offset >= 0 else {
          throw MalformedMessage("log_offsets must hold stdout and stderr as whole numbers")
        }
        offsets[stream] = offset
      }
      self = .subscribe(job: try reader.string("job_id"), logs: json["logs"]?.bool ?? true, offsets: offsets)
    case "unsubscribe": self = .unsubscribe(job: try reader.string("job_id"))
    case "resume": self = .resume(epoch: try reader.string("epoch"), after: try reader.integer("after"))
    case "ping": self = .ping
    case let other: throw MalformedMessage("unknown message type \"\(other.prefix(32))\"")
    }
  }
}
