import Cryptography
import Foundation
import JSON
import LoopbackServer
import Marketplace
import ResultPackage
import Testing
import Wire

@testable import aitbc

/// `verify` and a job's receipt: with the coordinator, from a file, and when the two tell different things.
@Suite struct VerifyTests {
  private static let start = Timestamp(milliseconds: 1_770_976_800_123)
  private let key: Ed25519PrivateKey
  private let receipt: Receipt

  init() throws {
    key = try Ed25519PrivateKey(rawBytes: [UInt8](repeating: 7, count: 32))
    receipt = try Self.receipt(of: "job_01k2z0000000000000000000aa")
  }

  /// An hour at a price of 0.1.
  private static func receipt(of job: String, hours: Int64 = 1) throws -> Receipt {
    Receipt(
      job: try #require(JobID(job)), tryNumber: 2, provider: try #require(MinerID("miner_01k2z0000000000000000000bb")),
      client: try #require(AccountID("acct_01k2z0000000000000000000cc")), status: .completed, units: 3_600_000 * hours,
      unitPrice: Money(micros: 100_000), priority: .normal, price: Money(micros: 100_000 * hours),
      fee: Money(micros: 5000), startedAt: start, completedAt: start + Seconds(3600 * hours))
  }

  /// What `output.json` says of the same job.
  private func output(cost: String = "0.100000") -> String {
    """
    {"job_id":"\(receipt.job)","status":"completed","miner_id":"\(receipt.provider)","try":2,"priority":"normal",\
    "started_at":"\(receipt.startedAt)","completed_at":"\(receipt.completedAt)","cost":"\(cost)"}
    """
  }

  private func package(_ output: String) throws -> [UInt8] {
    let sink = BufferSink()
    _ = try PackageBuilder(jobID: receipt.job.rawValue, signer: key).build(
      [PackageEntry(path: ArtifactPath(validating: "output.json"), source: .bytes(Array(output.utf8)))], to: sink)
    return sink.bytes
  }

  private var keyList: String { #"{"keys":[{"key_id":"\#(key.publicKey.id)","alg":"Ed25519"}]}"# }

  /// Runs `verify` offline with a saved receipt.
  private func offline(_ receipt: JSONValue?, output: String? = nil) async throws -> Outcome {
    try await TemporaryFolder.with { folder in
      let bytes = try package(output ?? self.output())
      try SmallFile.replace(folder + "/output.zip", with: bytes)
      try SmallFile.replace(folder + "/keys.json", with: Array(keyList.utf8))
      if let receipt { try SmallFile.replace(folder + "/receipt.json", with: Array(receipt.text.utf8)) }
      return await run(
        ["client", "verify", "--file", "output.zip", "--keys", "keys.json"]
          + (receipt == nil ? [] : ["--receipt", "receipt.json"]), url: "http://127.0.0.1:1", folder: folder)
    }
  }

  @Test func aSavedReceiptIsChecked() async throws {
    let outcome = try await offline(receipt.signed(by: key))
    #expect(outcome.code == 0, "\(outcome)")
    #expect(outcome.output.contains("the receipt for 0.100000"))
    let without = try await offline(nil)
    #expect(without.code == 0 && without.errors.contains("no receipt was checked"))
  }

  @Test func everyChangedMemberIsNamed() async throws {
    let signed = try #require(try receipt.signed(by: key).object)
    for member in signed.members {
      var changed = signed
      changed[member.name] = member.value.integer.map { .integer($0 + 1) } ?? .string("x")
      let outcome = try await offline(.object(changed))
      #expect(outcome.code == 9, "\(member.name)")
      #expect(outcome.output.hasPrefix("mismatch: the receipt"), "\(member.name): \(outcome.output)")
    }
  }

  @Test func aForeignJobsReceiptAndAForeignKeyAreFound() async throws {
    let foreign = try await offline(Self.receipt(of: "job_01k2z0000000000000000000zz").signed(by: key))
    #expect(foreign.code == 9)
    #expect(
      foreign.output == "mismatch: the receipt is of job job_01k2z0000000000000000000zz, expected \(receipt.job)\n")
    let other = try Ed25519PrivateKey(rawBytes: [UInt8](repeating: 8, count: 32))
    let forged = try await offline(receipt.signed(by: other))
    #expect(forged.code == 9)
    #expect(forged.output == "mismatch: the receipt is signed with the unknown key \(other.publicKey.id)\n")
  }

  /// Truly signed, but not what the package says.
  @Test func receiptAndPackageMustAgree() async throws {
    let dear = try await offline(Self.receipt(of: receipt.job.rawValue, hours: 2).signed(by: key))
    #expect(dear.code == 9)
    #expect(dear.output.contains("mismatch: the receipt's price is 0.200000, output.json says 0.100000\n"))
    #expect(dear.output.contains("completed_at"))
    let cheap = try await offline(receipt.signed(by: key), output: output(cost: "0.050000"))
    #expect(cheap.code == 9)
    #expect(cheap.output == "mismatch: the receipt's price is 0.100000, output.json says 0.050000\n")
    let none = try await offline(receipt.signed(by: key), output: "no JSON")
    #expect(none.code == 9 && none.output.contains("output.json can't be read"))
  }

  /// The coordinator is asked for the receipt of a job that is named.
  private func online(_ answer: LoopbackAnswer, cost: String = "0.100000") async throws -> Outcome {
    let bytes = try package(output(cost: cost))
    let digest = SHA256.hash(bytes)
    let keyList = keyList
    return try await LoopbackServer.with({ request in
      switch request.path.split(separator: "/").last {
      case "keys": LoopbackAnswer(200, keyList)
      case "checksum": LoopbackAnswer(200, "\(digest.hex)  output.zip\n")
      case "receipt": answer
      default: LoopbackAnswer(404, "{}")
      }
    }) { server in
      try await TemporaryFolder.with { folder in
        try SmallFile.replace(folder + "/output.zip", with: bytes)
        return await run(
          "client", "verify", receipt.job.rawValue, "--file", "output.zip", "--json", url: server.url, folder: folder)
      }
    }
  }

  @Test func theCoordinatorsReceiptIsChecked() async throws {
    let good = try await online(LoopbackAnswer(200, receipt.signed(by: key).text))
    #expect(good.code == 0, "\(good)")
    let shown = try JSONParser.parse(good.output)
    #expect(shown["receipt"] == "valid" && shown["price"] == "0.100000" && shown["findings"] == [])
    let foreign = try Self.receipt(of: "job_01k2z0000000000000000000zz").signed(by: key)
    let other = try await online(LoopbackAnswer(200, foreign.text))
    #expect(other.code == 9)
    #expect(try JSONParser.parse(other.output)["receipt"] == "invalid")
  }

  /// The coordinator has forgotten what to compare with; the file and its signatures are still there.
  @Test func afterAPurgeTheFileCanStillBeChecked() async throws {
    let keyList = keyList
    try await LoopbackServer.with({ request in
      request.path.hasSuffix("keys")
        ? LoopbackAnswer(200, keyList) : LoopbackAnswer(410, #"{"code":"results_purged","status":410,"detail":"gone"}"#)
    }) { server in
      let words = ["client", "verify", "--job-id", "job_1"]
      let file = await run(words + ["--file", "my output.zip"], url: server.url)
      #expect(file.code == 3 && file.errors.hasPrefix("error: gone\n"))
      #expect(file.errors.contains("hint: the package itself can still be checked"))
      #expect(
        file.errors.contains("aitbc client verify --file 'my output.zip'; without the coordinator too, with --keys"))
      let none = await run(words, url: server.url)
      #expect(none.code == 3 && none.errors.contains("aitbc client verify --file PATH"))
    }
  }

  @Test func aJobThatCostNothingHasNone() async throws {
    let none = LoopbackAnswer(404, #"{"code":"receipt_not_available","title":"t","detail":"d","status":404}"#)
    let free = try await online(none, cost: "0.000000")
    #expect(free.code == 0, "\(free)")
    #expect(try JSONParser.parse(free.output)["receipt"] == "none")
    let paid = try await online(none)
    #expect(paid.code == 9)
    #expect(paid.output.contains("there is no receipt, but output.json says that the job cost 0.100000"))
    // Another 404 is not an answer to the question.
    let unknown = try await online(LoopbackAnswer(404, #"{"code":"job_not_found","status":404}"#))
    #expect(unknown.code == 3)
  }
}
