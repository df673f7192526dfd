import Cryptography
import JSON
import Marketplace
import MarketplaceClient

/// Reads and sends what a submission names.
enum SubmitFiles {
  /// The largest job file and payload: 2 MiB, what the coordinator takes in one body.
  static let maximumJobBytes = 2 << 20
  /// The largest batch file: 32 MiB.
  static let maximumBatchBytes = 32 << 20
  /// The longest text for a model: 1 MiB.
  static let maximumModelInput = 1 << 20

  static func object(_ path: String, _ option: String) throws -> JSONObject {
    guard let object = try parse(SmallFile.read(path, limit: maximumJobBytes), "\(option) \(path)").object else {
      throw CommandFailure(.usage, "\(option) \(path): must hold a JSON object")
    }
    return object
  }

  /// JSON itself, or `@FILE`.
  static func payload(_ argument: String, _ context: CommandContext) throws -> JSONObject {
    if argument.hasPrefix("@") { return try object(context.resolve(String(argument.dropFirst())), "--payload") }
    guard let object = try parse(Array(argument.utf8), "--payload").object else {
      throw CommandFailure(.usage, "--payload: must be a JSON object")
    }
    return object
  }

  /// A JSON array, an object with `jobs`, or one object a line.
  static func batch(_ path: String) throws -> [JSONValue] {
    let bytes = try SmallFile.read(path, limit: maximumBatchBytes)
    if let whole = try? JSONParser.parse(bytes), let jobs = whole.array ?? whole["jobs"]?.array {
      guard !jobs.isEmpty else { throw CommandFailure(.usage, "--batch \(path): holds no jobs") }
      return jobs
    }
    var jobs: [JSONValue] = []
    for (index, line) in bytes.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
      if line.allSatisfy({ $0 == 32 || $0 == 9 || $0 == 13 }) { continue }
      jobs.append(try parse(Array(line), "--batch \(path):\(index + 1)"))
    }
    guard !jobs.isEmpty else { throw CommandFailure(.usage, "--batch \(path): holds no jobs") }
    return jobs
  }

  /// The text of a file, or, where there is no such file, the argument itself.
  static func modelInput(_ argument: String, _ context: CommandContext) throws -> String {
    let path = context.resolve(argument)
    guard SmallFile.exists(path) else { return argument }
    guard let text = String(validating: try SmallFile.read(path, limit: maximumModelInput), as: UTF8.self) else {
      throw CommandFailure(.usage, "--input \(argument): a model's input must be UTF-8 text")
    }
    return text
  }

  /// Sends what the coordinator lacks. A dry run only takes the digests.
  static func upload(_ files: [InputCollector.Found], dryRun: Bool, _ session: ClientSession) async throws
    -> [JobInputFile]
  {
    let bar = TransferBar(session)
    defer { bar.clear() }
    var inputs: [JobInputFile] = []
    for file in files {
      let digest = try FileDigest.of(file.source)
      if !dryRun {
        let outcome = try await session.client.upload(blob: file.source, digest: digest) {
          bar.show($0, of: digest.size)
        }
        try session.detail(
          "\(file.target): \(Printable.bytes(digest.size))\(outcome == .wasThere ? ", known already" : " sent")")
      }
      inputs.append(JobInputFile(path: file.target, sha256: digest.sha256.hex, isExecutable: file.isExecutable))
    }
    return inputs
  }

  private static func parse(_ bytes: [UInt8], _ what: String) throws -> JSONValue {
    do {
      return try JSONParser.parse(bytes)
    } catch {
      throw CommandFailure(.usage, "\(what): is not JSON: \(error)")
    }
  }
}
