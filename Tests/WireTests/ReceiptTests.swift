import Cryptography
import JSON
import Marketplace
import Testing
import TestRandomness
import Wire

@Suite struct ReceiptTests {
  private static let start = Timestamp(milliseconds: 1_770_976_800_123)
  private let key: Ed25519PrivateKey
  private let receipt: Receipt

  /// The contract's second vector: A100 × 4, 4 h, high.
  init() throws {
    key = try Ed25519PrivateKey(rawBytes: [UInt8](repeating: 7, count: 32))
    var random = SeededGenerator(seed: 1)
    let duration = Seconds(4 * 3600)
    receipt = Receipt(
      job: JobID(at: Self.start, using: &random), tryNumber: 2, provider: MinerID(at: Self.start, using: &random),
      client: AccountID(at: Self.start, using: &random), status: .completed, units: duration.milliseconds * 4,
      unitPrice: Money(micros: 100_000), priority: .high, price: Money(micros: 2_400_000), fee: Money(micros: 120_000),
      startedAt: Self.start, completedAt: Self.start + duration)
  }

  @Test func whatWasSignedIsAccepted() throws {
    let signed = try receipt.signed(by: key)
    #expect(try Receipt.verify(signed, keys: [key.publicKey]) == receipt)
    #expect(try receipt.signed(by: key) == signed)
    // As it travels: text, in any order of members.
    #expect(try Receipt.verify(JSONParser.parse(signed.canonical), keys: [key.publicKey]) == receipt)
    #expect(signed["price"] == "2.400000" && signed["started_at_unix"] == 1_770_976_800)
    #expect(signed["receipt_id"]?.string?.utf8.count == 32)
  }

  /// Other languages sort and escape in their own ways; with plain ASCII and whole numbers all agree.
  @Test func theSignedBytesArePlain() {
    #expect(receipt.message.allSatisfy { (32...126).contains($0) })
    #expect(!receipt.message.contains(UInt8(ascii: "\\")))
  }

  @Test func everyChangeIsFound() throws {
    let signed = try #require(try receipt.signed(by: key).object)
    for member in signed.members {
      var changed = signed
      changed[member.name] = member.value.integer.map { .integer($0 + 1) } ?? .string("x")
      #expect(throws: ReceiptFault.self, "\(member.name)") {
        try Receipt.verify(.object(changed), keys: [key.publicKey])
      }
      var without = signed
      without[member.name] = nil
      #expect(throws: ReceiptFault.self, "\(member.name)") {
        try Receipt.verify(.object(without), keys: [key.publicKey])
      }
    }
    var more = signed
    more.append("note", .null)
    #expect(throws: ReceiptFault.badSignature) { try Receipt.verify(.object(more), keys: [key.publicKey]) }
  }

  @Test func aForeignKeyIsUnknown() throws {
    let other = try Ed25519PrivateKey(rawBytes: [UInt8](repeating: 8, count: 32))
    let signed = try receipt.signed(by: other)
    #expect(throws: ReceiptFault.unknownKey(id: other.publicKey.id)) {
      try Receipt.verify(signed, keys: [key.publicKey])
    }
    // The name of a known key on another key's signature.
    var forged = try #require(signed.object)
    forged["signature"] = [
      "alg": "Ed25519", "key_id": .string(key.publicKey.id), "sig": signed["signature"]?["sig"] ?? .null,
    ]
    #expect(throws: ReceiptFault.badSignature) { try Receipt.verify(.object(forged), keys: [key.publicKey]) }
  }

  @Test func thePriceMustFollowFromTheUnits() throws {
    let dear = Receipt(
      job: receipt.job, tryNumber: 2, provider: receipt.provider, client: receipt.client, status: .completed,
      units: receipt.units, unitPrice: receipt.unitPrice, priority: .high, price: Money(micros: 2_400_001),
      fee: receipt.fee, startedAt: receipt.startedAt, completedAt: receipt.completedAt)
    let signed = try dear.signed(by: key)
    #expect(throws: ReceiptFault.wrongPrice(said: Money(micros: 2_400_001), right: Money(micros: 2_400_000))) {
      try Receipt.verify(signed, keys: [key.publicKey])
    }
  }

  @Test(arguments: ["null", "[]", "{}", #"{"signature":{}}"#, #"{"signature":{"alg":"none","key_id":"","sig":""}}"#])
  func whatIsNoReceiptIsRefused(_ text: String) throws {
    let json = try JSONParser.parse(text)
    #expect(throws: ReceiptFault.self) { try Receipt.verify(json, keys: [key.publicKey]) }
  }
}
