import Cryptography
import JSON
import MarketplaceClient
import ResultPackage

/// What `verify` found: the package against its manifest and seal, and the receipt against the package.
struct PackageCheck {
  let report: VerificationReport
  let receipt: ReceiptCheck

  /// `output.json` holds a line for each artifact; a larger one is not read.
  private static let outputLimit: UInt64 = 256 << 20

  /// Checks the file at `path`. Throws ``ClientError/file(path:operation:code:)`` when it can't be read, and
  /// `CancellationError`.
  init(
    _ path: String, keys: [Ed25519PublicKey], digest: SHA256Digest?, job: String?, receipt statement: ReceiptStatement
  ) throws {
    do {
      let source = try FileSource(path: path)
      report = try PackageVerifier(trustedKeys: keys).verify(
        source, expectedDigest: digest, expectedJobID: job, shouldContinue: { !Task.isCancelled })
      receipt = ReceiptCheck(
        statement, job: job ?? report.manifest?.jobID, output: Self.output(of: report.manifest?.jobID, source),
        keys: keys)
    } catch is OperationCanceled {
      throw CancellationError()
    } catch let error as FileError {
      throw ClientError.file(path: error.path, operation: error.operation, code: error.code)
    }
  }

  var isIntact: Bool { report.isIntact && receipt.findings.isEmpty }

  /// Each mismatch, in words.
  var findings: [String] { report.findings.map(\.description) + receipt.findings.map(\.description) }

  private static func output(of job: String?, _ source: any RandomAccessSource) -> JSONValue? {
    guard let job, let root = try? PackageRoot.name(jobID: job),
      let entry = try? ZipLookup(source).entry(named: root + "/" + PackageLayout.output), entry.size <= outputLimit,
      let bytes = try? ZipEntryCursor(entry).read(from: source, at: 0, count: Int(entry.size))
    else { return nil }
    return try? JSONParser.parse(bytes)
  }

  /// For programs.
  var json: JSONValue {
    [
      "intact": .bool(isIntact), "job_id": JSONValue(report.manifest?.jobID), "sha256": .string(report.sha256.hex),
      "size": .integer(Int64(clamping: report.size)), "files": .integer(Int64(report.manifest?.entries.count ?? 0)),
      "miner_key": JSONValue(report.miner?.keyID), "receipt": .string(receipt.state.rawValue),
      "price": JSONValue(receipt.price), "findings": .array(findings.map(JSONValue.string)),
    ]
  }

  /// What was checked, when nothing is wrong.
  var summary: String {
    var parts = ["archive, \(report.manifest?.entries.count ?? 0) files, the coordinator's signature"]
    if report.miner != nil { parts.append("the miner's signature") }
    if let price = receipt.price { parts.append("the receipt for \(price)") }
    return "\(report.manifest?.jobID ?? "package"): intact: " + parts.joined(separator: ", ")
  }

  /// What is to be known of a receipt that was not there to be checked.
  var remark: String? {
    switch receipt.state {
    case .none: "there is no receipt: the job was not charged for"
    case .notChecked: "no receipt was checked; give a saved one with --receipt, or the job's id"
    case .valid, .invalid: nil
    }
  }
}
