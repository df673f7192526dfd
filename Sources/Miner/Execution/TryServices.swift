import Clocks
import Cryptography
import JSON
import Logging
import Marketplace
import ResultPackage
import Wire

/// What a try needs of its miner.
struct TryServices: Sendable {
  let configuration: MinerConfiguration
  let work: WorkDirectory
  let runners: [String: any Runner]
  let inputs: InputFetcher
  let uploader: ArtifactUploader
  let clock: any MarketClock
  let logger: Logger
}

extension TryReport {
  /// A result as JSON may have 1 MiB; larger ones belong into a file.
  static let maximumResultBytes = 1 << 20

  /// What the coordinator is told of a run.
  init(
    lease: String, result: RunResult, error: JobError?, artifacts: [ArtifactFact], stdout: LogFact, stderr: LogFact
  ) {
    self.init(
      lease: lease, exitCode: result.exitCode, error: error, usage: result.usage, artifacts: artifacts, stdout: stdout,
      stderr: stderr)
    guard let value = result.result else { return }
    if value.encoded.count <= Self.maximumResultBytes {
      self.result = value
    } else if self.error == nil {
      self.error = JobError(.outputTooLarge, "the result has more than \(Self.maximumResultBytes) bytes of JSON")
    }
  }

  /// Signs the miner's part of the result's manifest. A try that left nothing has nothing to sign.
  mutating func sign(of job: JobID, with key: Ed25519PrivateKey) {
    guard stdout.length > 0 || stderr.length > 0 || !artifacts.isEmpty else { return }
    let entries = try? PackageLayout.minerEntries(
      stdout: (stdout.length, stdout.sha256), stderr: (stderr.length, stderr.sha256),
      artifacts: artifacts.map { ($0.path, ($0.size, $0.sha256)) })
    guard let entries, let signed = try? ManifestSignature.miner(jobID: job.rawValue, entries: entries, key: key)
    else { return }
    signature = SignatureFact(keyID: signed.keyID, signature: Base64URL.encode(signed.signature))
  }

  var message: MinerMessage { error == nil ? .done(self) : .failed(self) }
}
