import Clocks
import Cryptography
import Logging
import Marketplace
import ResultPackage
import Store
import Testing
import Wire

@testable import Coordinator

/// A miner's signature counts only for exactly the files that its report names.
struct MinerSignaturesTests {
  private static let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  private func sample() throws -> (report: TryReport, lease: LeaseTable.Lease) {
    let job = try #require(JobID("job_01kgdzvwg0abcdefghjkmnpqrs"))
    let lease = LeaseTable.Lease(
      hash: "h", job: job, tryNumber: 1, miner: try #require(MinerID("miner_01kgdzvwg0abcdefghjkmnpqrs")),
      term: Seconds(15), deadline: MonotonicTime(milliseconds: 0), token: nil)
    var report = TryReport(lease: "lt")
    report.artifacts = [
      ArtifactFact(path: "a/b", size: 3, sha256: SHA256.hash([1, 2, 3]).hex),
      ArtifactFact(path: "result.txt", size: 1, sha256: SHA256.hash([1]).hex),
    ]
    report.stdout = LogFact(length: 1, sha256: SHA256.hash([9]).hex)
    let entries = try PackageLayout.minerEntries(
      stdout: (1, report.stdout.sha256), stderr: (0, report.stderr.sha256),
      artifacts: report.artifacts.map { ($0.path, ($0.size, $0.sha256)) })
    let signed = try ManifestSignature.miner(jobID: job.rawValue, entries: entries, key: .generate())
    report.signature = SignatureFact(keyID: signed.keyID, signature: Base64URL.encode(signed.signature))
    return (report, lease)
  }

  @Test func theRightOneIsKept() throws {
    let (report, lease) = try sample()
    let record = MinerSignatures.checked(report, of: lease, log: Self.log)
    #expect(record?.keyID == report.signature?.keyID && record?.signature == report.signature?.signature)
    #expect(record?.manifestSignature?.signer == .miner)
  }

  @Test func othersAreLeftAway() throws {
    func isKept(_ change: (inout TryReport) throws -> Void) throws -> Bool {
      var (report, lease) = try sample()
      try change(&report)
      return MinerSignatures.checked(report, of: lease, log: Self.log) != nil
    }
    #expect(try !isKept { $0.signature = nil })
    #expect(try !isKept { $0.artifacts[0].size = 4 })
    #expect(try !isKept { $0.artifacts[0].path = "a/c" })
    #expect(try !isKept { $0.artifacts.remove(at: 0) })
    #expect(try !isKept { $0.stdout.sha256 = SHA256.hash([8]).hex })
    #expect(try !isKept { $0.stderr.length = 1 })
    #expect(try !isKept { $0.artifacts[0].path = "../a" })
    #expect(try !isKept { $0.signature?.keyID = try Ed25519PrivateKey.generate().publicKey.id })
    // The main output is not among what the miner signs.
    #expect(try isKept { $0.artifacts[1].size = 2 })
  }
}
