import Cryptography
import Logging
import Marketplace
import ResultPackage
import Store
import Wire

/// A miner's signature of what it sent for a job.
enum MinerSignatures {
  /// The report's signature when it covers exactly the logs and artifacts that the report names. A wrong one is logged
  /// and left away: the result is right all the same, only nobody vouches for where it comes from.
  static func checked(_ report: TryReport, of lease: LeaseTable.Lease, log: Logger) -> SignatureRecord? {
    guard let fact = report.signature else { return nil }
    let record = SignatureRecord(keyID: fact.keyID, signature: fact.signature)
    guard let key = try? Ed25519PublicKey(id: fact.keyID), let signature = Base64URL.decode(fact.signature),
      let entries = try? PackageLayout.minerEntries(
        stdout: (report.stdout.length, report.stdout.sha256), stderr: (report.stderr.length, report.stderr.sha256),
        artifacts: report.artifacts.map { ($0.path, ($0.size, $0.sha256)) }),
      key.isValid(
        signature: signature, for: Manifest.minerMessage(jobID: lease.job.rawValue, entries: entries))
    else {
      log.warning(
        "a miner's signature is wrong", metadata: ["job": "\(lease.job)", "miner": "\(lease.miner)"])
      return nil
    }
    return record
  }
}

extension SignatureRecord {
  /// As it stands in a manifest; nil when it is none.
  var manifestSignature: ManifestSignature? {
    Base64URL.decode(signature).map { ManifestSignature(signer: .miner, keyID: keyID, signature: $0) }
  }
}
