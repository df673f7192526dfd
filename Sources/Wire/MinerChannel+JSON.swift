public import JSON
import Marketplace

/// A channel message that can't be understood. The connection is not harmed; the sender is told.
public struct MalformedMessage: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }
}

/// Reads required members, naming the one that is missing or wrong.
struct MessageReader {
  let json: JSONValue

  func string(_ name: String) throws(MalformedMessage) -> String {
    guard let value = json[name]?.string else { throw MalformedMessage("\(name) must be a string") }
    return value
  }

  func integer(_ name: String) throws(MalformedMessage) -> Int64 {
    guard let value = json[name]?.integer else { throw MalformedMessage("\(name) must be a whole number") }
    return value
  }

  func array(_ name: String) throws(MalformedMessage) -> [JSONValue] {
    guard let value = json[name]?.array else { throw MalformedMessage("\(name) must be an array") }
    return value
  }

  func strings(_ name: String) throws(MalformedMessage) -> [String] {
    let elements = try array(name)
    let texts = elements.compactMap(\.string)
    guard texts.count == elements.count else { throw MalformedMessage("\(name) must be an array of strings") }
    return texts
  }
}

extension MinerMessage {
  public var json: JSONValue {
    switch self {
    case .hello(let hello): hello.json
    case .accept(let lease): ["type": "accept", "lease_token": .string(lease)]
    case .refuse(let lease, let reason):
      ["type": "refuse", "lease_token": .string(lease), "reason": .string(reason)]
    case .started(let lease): ["type": "started", "lease_token": .string(lease)]
    case .progress(let lease, let percent, let message):
      [
        "type": "progress", "lease_token": .string(lease), "progress": .integer(Int64(percent)),
        "message": JSONValue(message),
      ]
    case .renew(let leases): ["type": "lease", "lease_tokens": .array(leases.map(JSONValue.string))]
    case .done(let report): report.json(type: "done")
    case .failed(let report): report.json(type: "failed")
    case .drain: ["type": "drain"]
    }
  }

  public init(json: JSONValue) throws(MalformedMessage) {
    let reader = MessageReader(json: json)
    switch try reader.string("type") {
    case "hello": self = .hello(try MinerHello(json: json))
    case "accept": self = .accept(lease: try reader.string("lease_token"))
    case "refuse":
      self = .refuse(lease: try reader.string("lease_token"), reason: json["reason"]?.string ?? "no reason given")
    case "started": self = .started(lease: try reader.string("lease_token"))
    case "progress":
      self = .progress(
        lease: try reader.string("lease_token"), percent: Int(clamping: try reader.integer("progress")),
        message: json["message"]?.string)
    case "lease": self = .renew(leases: try reader.strings("lease_tokens"))
    case "done": self = .done(try TryReport(json: json))
    case "failed": self = .failed(try TryReport(json: json))
    case "drain": self = .drain
    case let other: throw MalformedMessage("unknown message type \"\(other.prefix(32))\"")
    }
  }
}

extension MinerHello {
  var json: JSONValue {
    var object = JSONObject([
      ("type", "hello"), ("instance", .string(instance)), ("name", .string(name)), ("version", .string(version)),
      ("capabilities", offer.json), ("fresh", .bool(isFresh)),
      ("leases", .array(held.map { ["lease_token": .string($0.lease), "started": .bool($0.isStarted)] })),
    ])
    if let publicKey { object.append("public_key", .string(publicKey)) }
    return .object(object)
  }

  init(json: JSONValue) throws(MalformedMessage) {
    let reader = MessageReader(json: json)
    guard let capabilities = json["capabilities"], let offer = MinerOffer(json: capabilities) else {
      throw MalformedMessage("capabilities must be an object with runners and slots")
    }
    guard (1...10_000).contains(offer.slots) else { throw MalformedMessage("slots must be between 1 and 10000") }
    let instance = try reader.string("instance")
    guard (32...256).contains(instance.utf8.count) else {
      throw MalformedMessage("instance must have 32 to 256 characters")
    }
    self.init(
      instance: instance, name: String(try reader.string("name").prefix(128)),
      version: String(try reader.string("version").prefix(64)), offer: offer, isFresh: json["fresh"]?.bool ?? true,
      held: (json["leases"]?.array ?? []).compactMap { held in
        held["lease_token"]?.string.map { HeldLease(lease: $0, isStarted: held["started"]?.bool ?? false) }
      })
    if let key = json["public_key"], !key.isNull {
      guard let key = key.string, key.utf8.count == 43 else {
        throw MalformedMessage("public_key must be an Ed25519 public key as Base64URL")
      }
      publicKey = key
    }
  }
}

extension TryReport {
  func json(type: String) -> JSONValue {
    var object = JSONObject([("type", .string(type)), ("lease_token", .string(lease))])
    if let exitCode { object.append("exit", .integer(Int64(exitCode))) }
    if let error {
      object.append("error", ["code": .string(error.code.rawValue), "message": .string(error.message)])
    }
    if let result { object.append("result", result) }
    object.append("usage", usage.json)
    object.append("artifacts", .array(artifacts.map(\.json)))
    object.append("logs", ["stdout": stdout.json, "stderr": stderr.json])
    if let signature { object.append("signature", signature.json) }
    if let endedAgo { object.append("ended_ms_ago", .integer(endedAgo.milliseconds)) }
    return .object(object)
  }

  init(json: JSONValue) throws(MalformedMessage) {
    let reader = MessageReader(json: json)
    self.init(lease: try reader.string("lease_token"))
    exitCode = json["exit"]?.integer.map { Int(clamping: $0) }
    if let value = json["error"], !value.isNull {
      let code = value["code"]?.string ?? ""
      error = JobError(
        JobErrorCode(rawValue: code) ?? .runnerFailed, value["message"]?.string ?? "no message given")
    }
    if let value = json["result"], !value.isNull { result = value }
    usage = Usage(json: json["usage"] ?? .null)
    let elements = json["artifacts"]?.array ?? []
    artifacts = elements.compactMap(ArtifactFact.init(json:))
    guard artifacts.count == elements.count else { throw MalformedMessage("artifacts must have path, size and sha256") }
    stdout = LogFact(json: json["logs"]?["stdout"]) ?? .empty
    stderr = LogFact(json: json["logs"]?["stderr"]) ?? .empty
    if let value = json["signature"], !value.isNull {
      guard let fact = SignatureFact(json: value) else {
        throw MalformedMessage("signature must have key_id and signature as Base64URL")
      }
      signature = fact
    }
    // A span that nobody can mean says nothing.
    if let value = json["ended_ms_ago"]?.integer, (0...Seconds.longestInput.milliseconds).contains(value) {
      endedAgo = Seconds(milliseconds: value)
    }
  }
}
