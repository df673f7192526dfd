import ArgumentParser
import Cryptography
import Glibc
import JSON
import MarketplaceClient
import ResultPackage
import Wire

struct VerifyCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Check a result: digest, every file, signatures, receipt.",
    discussion: """
      With a job: what the coordinator has recorded is compared with the package, which is fetched for that, or with \
      --file; its receipt is asked for. With --file and --keys, and perhaps --receipt, nothing is asked of anybody. \
      Exits with 9 and names each mismatch.
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

  @Option(
    help: ArgumentHelp(
      "The receipt, as saved by download --receipt. Default: asked of the coordinator when a job is named.",
      valueName: "path"))
  var receipt: String?

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
    do {
      try await verify(session)
    } catch let error as ClientError {
      guard case .problem(let problem) = error, problem.status == 410 else { throw error }
      throw CommandFailure(.notFound, error.description, hint: hintAfterPurge)
    }
  }

  /// The coordinator has nothing to compare with any more; signatures still tell.
  private var hintAfterPurge: String {
    guard let file else {
      return "a package that was downloaded before can be checked with: aitbc client verify --file PATH"
    }
    let words: [(String, String?)] = [
      ("--file", file), ("--keys", keys), ("--receipt", receipt), ("--sha256", sha256),
    ]
    let line = words.flatMap { name, value in value.map { [name, Printable.shellWord($0)] } ?? [] }
    return "the package itself can still be checked with: aitbc client verify " + line.joined(separator: " ")
      + (keys == nil ? "; without the coordinator too, with --keys FILE (what GET /v1/keys answered)" : "")
  }

  private func verify(_ session: ClientSession) async throws {
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
    let statement = try await statement(session)
    let check: PackageCheck
    if let file {
      check = try self.check(session.context.resolve(file), trusted, expected, statement)
    } else {
      check = try await fetchAndCheck(session, trusted, expected, statement)
    }
    try write(check, session)
  }

  /// The receipt from its file, or else from the coordinator when a job is named.
  private func statement(_ session: ClientSession) async throws -> ReceiptStatement {
    if let receipt { return .given(try Self.document(session.context.resolve(receipt), "--receipt")) }
    guard let job else { return .unknown }
    return try await session.client.receiptIfAny(job).map { .given($0) } ?? .absent
  }

  private static func document(_ path: String, _ option: String) throws -> JSONValue {
    do {
      return try JSONParser.parse(try SmallFile.read(path, limit: 1 << 20))
    } catch let error as JSONSyntaxError {
      throw CommandFailure(.usage, "\(option): \(path) is not JSON: \(error)")
    }
  }

  private func trustedKeys(_ session: ClientSession) async throws -> [Ed25519PublicKey] {
    let document: JSONValue
    if let keys {
      document = try Self.document(session.context.resolve(keys), "--keys")
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

  private func check(
    _ path: String, _ trusted: [Ed25519PublicKey], _ expected: SHA256Digest?, _ statement: ReceiptStatement
  ) throws -> PackageCheck {
    try PackageCheck(path, keys: trusted, digest: expected, job: job, receipt: statement)
  }

  /// The package in a private folder, which is gone afterwards.
  private func fetchAndCheck(
    _ session: ClientSession, _ trusted: [Ed25519PublicKey], _ expected: SHA256Digest?, _ statement: ReceiptStatement
  ) async throws -> PackageCheck {
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
    return try check(target, trusted, expected, statement)
  }

  private func write(_ check: PackageCheck, _ session: ClientSession) throws {
    let format = try session.format(format.output)
    try session.write(check.json, format, id: check.report.manifest?.jobID ?? job) {
      check.isIntact
        ? [Printable.line(check.summary)] : check.findings.map { Printable.line("mismatch: \($0)") }
    }
    if format == .table, check.isIntact {
      try session.remark("SHA-256 \(check.report.sha256.hex)")
      if let remark = check.remark { try session.remark(remark) }
    }
    guard check.isIntact else { throw CommandExit(.integrity) }
  }
}
