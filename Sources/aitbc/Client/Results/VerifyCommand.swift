import ArgumentParser
import Cryptography
import Glibc
import JSON
import Marketplace
import MarketplaceClient
import ResultPackage

struct VerifyCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Check a result: digest, every file, signatures.",
    discussion: """
      With a job: what the coordinator has recorded is compared with the package, which is fetched for that, or with \
      --file. With --file and --keys alone nothing is asked of anybody. Exits with 9 and names each mismatch.
      """)

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions

  @Option(
    name: .customLong("job-id"), help: ArgumentHelp("The job; may also stand without the option.", valueName: "id"))
  var option: String?

  @Argument(help: ArgumentHelp("The job.", valueName: "id"))
  var positional: String?

  @Option(help: ArgumentHelp("The package to check, as downloaded.", valueName: "path"))
  var file: String?

  @Option(
    help: ArgumentHelp(
      "Trusted public keys: what GET /v1/keys answered. Default: asked of the coordinator.", valueName: "path"))
  var keys: String?

  @Option(help: ArgumentHelp("The archive's SHA-256, known from elsewhere.", valueName: "hex"))
  var sha256: String?

  var callTimeout: TimeSpan? { timeout.timeout }
  private var job: String? { positional ?? option }

  func validate() throws {
    if let job, job.isEmpty || job.utf8.count > 256 { throw ValidationError("That is no job id.") }
    if let option, let positional, option != positional {
      throw ValidationError("Two jobs are named: \(positional) and \(option). Give one.")
    }
    guard job != nil || file != nil else { throw ValidationError("What is to be checked? Give a job's id, or --file.") }
    if let sha256, SHA256Digest(hex: sha256) == nil { throw ValidationError("--sha256 must be 64 hexadecimal digits.") }
  }

  func run(_ session: ClientSession) async throws {
    let trusted = try await trustedKeys(session)
    var expected = sha256.flatMap { SHA256Digest(hex: $0) }
    if let job {
      let line = try await session.client.checksum(job)
      let recorded = SHA256Digest(hex: line.prefix(64))
      if let expected, let recorded, expected != recorded {
        throw CommandFailure(.integrity, "the coordinator has recorded SHA-256 \(recorded.hex), not \(expected.hex)")
      }
      expected = expected ?? recorded
    }
    let report: VerificationReport
    if let file {
      report = try check(session.context.resolve(file), trusted, expected)
    } else {
      report = try await fetchAndCheck(session, trusted, expected)
    }
    try write(report, session)
  }

  private func trustedKeys(_ session: ClientSession) async throws -> [Ed25519PublicKey] {
    let document: JSONValue
    if let keys {
      let path = session.context.resolve(keys)
      do {
        document = try JSONParser.parse(try SmallFile.read(path, limit: 1 << 20))
      } catch let error as JSONSyntaxError {
        throw CommandFailure(.usage, "--keys: \(path) is not JSON: \(error)")
      }
    } else {
      document = try await session.client.signingKeys()
    }
    let list = document["keys"]?.array ?? document.array ?? []
    let found = list.compactMap { ($0["key_id"] ?? $0["public_key"])?.string }.compactMap {
      try? Ed25519PublicKey(id: $0)
    }
    guard !found.isEmpty else {
      throw CommandFailure(.usage, "\(keys ?? "the coordinator's answer") names no public keys")
    }
    return found
  }

  private func check(_ path: String, _ trusted: [Ed25519PublicKey], _ expected: SHA256Digest?) throws
    -> VerificationReport
  {
    do {
      return try PackageVerifier(trustedKeys: trusted).verify(
        FileSource(path: path), expectedDigest: expected, expectedJobID: job, shouldContinue: { !Task.isCancelled })
    } catch is OperationCanceled {
      throw CancellationError()
    } catch let error as FileError {
      throw ClientError.file(path: error.path, operation: error.operation, code: error.code)
    }
  }

  /// The package in a private folder, which is gone afterwards.
  private func fetchAndCheck(
    _ session: ClientSession, _ trusted: [Ed25519PublicKey], _ expected: SHA256Digest?
  ) async throws -> VerificationReport {
    let base = session.context.environment["TMPDIR"].nonEmpty ?? "/tmp"
    var template = Array("\(base)/aitbc-verify-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw ClientError.file(path: base, operation: "mkdtemp", code: errno) }
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let target = folder + "/output.zip"
    defer {
      unlink(target)
      if let expected { unlink(target + "." + expected.hex.prefix(16) + ".part") }
      rmdir(folder)
    }
    let bar = TransferBar(session)
    defer { bar.clear() }
    try await session.client.download(job ?? "").fetch(to: target, expecting: expected) { bar.show($0, of: $1) }
    return try check(target, trusted, expected)
  }

  private func write(_ report: VerificationReport, _ session: ClientSession) throws {
    let files = report.manifest?.entries.count ?? 0
    let document: JSONValue = [
      "intact": .bool(report.isIntact), "job_id": JSONValue(report.manifest?.jobID),
      "sha256": .string(report.sha256.hex), "size": .integer(Int64(clamping: report.size)),
      "files": .integer(Int64(files)), "miner_key": JSONValue(report.miner?.keyID),
      "findings": .array(report.findings.map { .string($0.description) }),
    ]
    let format = try session.format(format.output)
    try session.write(document, format, id: report.manifest?.jobID ?? job) {
      guard report.isIntact else { return report.findings.map { Printable.line("mismatch: \($0)") } }
      return [
        "\(report.manifest?.jobID ?? "package"): intact: archive, \(files) files, the coordinator's signature"
          + (report.miner == nil ? "" : ", the miner's signature")
      ]
    }
    if format == .table, report.isIntact { try session.remark("SHA-256 \(report.sha256.hex)") }
    guard report.isIntact else { throw CommandExit(.integrity) }
  }
}
