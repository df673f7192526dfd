public import Cryptography
public import JSON
public import Marketplace

/// What a job cost and who got it: the coordinator's word, signed. Made from rows that never change, so that the same job
/// always has the same receipt.
///
/// The members are those of AITBC's receipts, with public ids in place of keys and without payload and result. Every
/// value is ASCII, and no number has a fraction, so that any JSON library's sorted form is the signed one.
public struct Receipt: Hashable, Sendable {
  public static let version = "1.0"
  /// GPUs × milliseconds; a job without a GPU counts as one.
  public static let unitType = "gpu_milliseconds"

  public let job: JobID
  public let tryNumber: Int
  /// Who ran it.
  public let provider: MinerID
  /// Who paid.
  public let client: AccountID
  /// `completed` or `canceled`.
  public let status: JobState
  public let units: Int64
  /// Per GPU-hour.
  public let unitPrice: Money
  public let priority: Priority
  /// What the client paid.
  public let price: Money
  /// How much of it the market kept.
  public let fee: Money
  public let startedAt: Timestamp
  public let completedAt: Timestamp

  public init(
    job: JobID, tryNumber: Int, provider: MinerID, client: AccountID, status: JobState, units: Int64, unitPrice: Money,
    priority: Priority, price: Money, fee: Money, startedAt: Timestamp, completedAt: Timestamp
  ) {
    self.job = job
    self.tryNumber = tryNumber
    self.provider = provider
    self.client = client
    self.status = status
    self.units = units
    self.unitPrice = unitPrice
    self.priority = priority
    self.price = price
    self.fee = fee
    self.startedAt = startedAt
    self.completedAt = completedAt
  }

  /// 32 hex digits; one for each job.
  public var id: String { String(SHA256.hash("aitbc-receipt\n\(job.rawValue)".utf8).hex.prefix(32)) }

  /// Without the signature.
  public var json: JSONObject {
    var object = JSONObject([
      ("version", .string(Self.version)), ("receipt_id", .string(id)), ("job_id", .string(job.rawValue)),
      ("try", .integer(Int64(tryNumber))), ("provider", .string(provider.rawValue)),
      ("client", .string(client.rawValue)), ("status", .string(status.rawValue)), ("units", .integer(units)),
      ("unit_type", .string(Self.unitType)), ("unit_price", .string(unitPrice.description)),
      ("priority", .string(priority.word)), ("price", .string(price.description)), ("fee", .string(fee.description)),
    ])
    object.append(time: startedAt, as: "started_at")
    object.append(time: completedAt, as: "completed_at")
    return object
  }

  /// The bytes that are signed: the canonical form of ``json``.
  public var message: [UInt8] { JSONValue.object(json).canonical }

  /// ``json`` with a member `signature`: `{"alg":"Ed25519","key_id":…,"sig":…}`, as `GET /v1/jobs/{id}/receipt`
  /// answers.
  public func signed(by key: Ed25519PrivateKey) throws(CryptographyError) -> JSONValue {
    var object = json
    object.append(
      "signature",
      [
        "alg": "Ed25519", "key_id": .string(key.publicKey.id), "sig": .string(Base64URL.encode(try key.sign(message))),
      ])
    return .object(object)
  }
}

/// What is wrong with a receipt.
public enum ReceiptFault: Error, Hashable, Sendable, CustomStringConvertible {
  /// A member is missing or can't be read.
  case malformed(String)
  /// Signed with a key that is not among those one trusts.
  case unknownKey(id: String)
  /// Somebody changed it, or another key signed it.
  case badSignature
  /// The price is not units × price × priority.
  case wrongPrice(said: Money, right: Money)

  public var description: String {
    switch self {
    case .malformed(let what): "the receipt's \(what) is missing or can't be read"
    case .unknownKey(let id): "the receipt is signed with the unknown key \(id)"
    case .badSignature: "the receipt's signature is not valid"
    case .wrongPrice(let said, let right): "the receipt says \(said), but its units come to \(right)"
    }
  }
}

extension Receipt {
  /// Checks a signed receipt against the keys that are trusted (`GET /v1/keys`), and that its price follows from its
  /// units. Every member counts: one that is added or taken away breaks the signature.
  public static func verify(_ signed: JSONValue, keys: [Ed25519PublicKey]) throws(ReceiptFault) -> Receipt {
    guard var object = signed.object else { throw .malformed("object") }
    guard let signature = object["signature"], signature["alg"]?.string == "Ed25519",
      let id = signature["key_id"]?.string, let bytes = signature["sig"]?.string.flatMap({ Base64URL.decode($0) })
    else { throw .malformed("signature") }
    guard let key = keys.first(where: { $0.id == id }) else { throw .unknownKey(id: id) }
    object["signature"] = nil
    guard key.isValid(signature: bytes, for: JSONValue.object(object).canonical) else { throw .badSignature }
    let receipt = try Receipt(json: .object(object))
    let right = Pricing.charge(
      milliseconds: receipt.units, gpus: 1, hourly: receipt.unitPrice, priority: receipt.priority)
    guard receipt.price == right else { throw .wrongPrice(said: receipt.price, right: right) }
    return receipt
  }

  /// Reads ``json`` back.
  public init(json: JSONValue) throws(ReceiptFault) {
    guard json["version"]?.string == Self.version else { throw .malformed("version") }
    guard json["unit_type"]?.string == Self.unitType else { throw .malformed("unit_type") }
    self.init(
      job: try Self.read(json, "job_id") { JobID($0) }, tryNumber: Int(clamping: try Self.integer(json, "try")),
      provider: try Self.read(json, "provider") { MinerID($0) },
      client: try Self.read(json, "client") { AccountID($0) },
      status: try Self.read(json, "status") { JobState(rawValue: $0) }, units: try Self.integer(json, "units"),
      unitPrice: try Self.read(json, "unit_price") { Money(decimal: $0) },
      priority: try Self.read(json, "priority") { Priority(word: $0) },
      price: try Self.read(json, "price") { Money(decimal: $0) },
      fee: try Self.read(json, "fee") { Money(decimal: $0) },
      startedAt: try Self.read(json, "started_at") { Timestamp(rfc3339: $0) },
      completedAt: try Self.read(json, "completed_at") { Timestamp(rfc3339: $0) })
    guard json["receipt_id"]?.string == id else { throw .malformed("receipt_id") }
  }

  private static func read<Value>(
    _ json: JSONValue, _ name: String, _ make: (String) -> Value?
  ) throws(ReceiptFault) -> Value {
    guard let value = json[name]?.string.flatMap(make) else { throw .malformed(name) }
    return value
  }

  private static func integer(_ json: JSONValue, _ name: String) throws(ReceiptFault) -> Int64 {
    guard let value = json[name]?.integer, value >= 0 else { throw .malformed(name) }
    return value
  }
}
