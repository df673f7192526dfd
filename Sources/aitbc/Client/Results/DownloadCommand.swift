import ArgumentParser
import Cryptography
import JSON
import MarketplaceClient
import ResultPackage

struct DownloadCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "download", abstract: "Fetch a finished job's result package as output.zip.",
    discussion:
      "A download that was cut goes on where it stopped. With --checksum, sha256sum -c output.sha256 passes afterwards."
  )

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var job: JobArgument

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The folder to put it into; made when it is not there. Default: the working directory.", valueName: "folder"))
  var output = "."

  @Option(help: ArgumentHelp("Parts of a large package that are fetched at once, 1 to 64.", valueName: "count"))
  var parallel = ResumableDownload.defaultParts

  @Flag(help: "Write output.sha256 too.")
  var checksum = false

  @Flag(help: "Write receipt.json too, when the job has a receipt; verify --receipt checks it.")
  var receipt = false

  @Flag(help: "Unpack it into the folder, after it was checked.")
  var extract = false

  func validate() throws {
    guard (1...64).contains(parallel) else { throw ValidationError("--parallel must be between 1 and 64.") }
  }

  func run(_ session: ClientSession) async throws {
    let folder = session.context.resolve(output)
    try SmallFile.makeFolder(folder)
    let package = try await Self.fetch(job.id, into: folder, parts: parallel, session)
    if checksum {
      try SmallFile.replace(folder + "/output.sha256", with: Array("\(package.sha256.hex)  output.zip\n".utf8))
    }
    let hasReceipt = receipt ? try await writeReceipt(into: folder, session) : false
    if extract {
      let root = try PackageExtractor.extract(folder + "/output.zip", into: folder)
      try session.remark("unpacked into \(shown(root))")
    }
    try write(package, hasReceipt: hasReceipt, session)
  }

  private func writeReceipt(into folder: String, _ session: ClientSession) async throws -> Bool {
    guard let document = try await session.client.receiptIfAny(job.id) else {
      try session.remark("there is no receipt: the job was not charged for")
      return false
    }
    try SmallFile.replace(folder + "/receipt.json", with: Array((document.text + "\n").utf8))
    return true
  }

  private func shown(_ name: String) -> String { output == "." ? name : output + "/" + name }

  private func write(_ package: FileDigest, hasReceipt: Bool, _ session: ClientSession) throws {
    let document: JSONValue = [
      "file": .string(shown("output.zip")), "size": .integer(Int64(clamping: package.size)),
      "sha256": .string(package.sha256.hex),
    ]
    let format = try session.format(nil)
    try session.write(document, format, id: job.id) {
      [shown("output.zip")] + (checksum ? [shown("output.sha256")] : []) + (hasReceipt ? [shown("receipt.json")] : [])
    }
    if format == .table { try session.remark("\(Printable.bytes(package.size)), SHA-256 \(package.sha256.hex)") }
  }

  /// Makes sure that `output.zip` in the folder is the job's package.
  static func fetch(
    _ job: String, into folder: String, parts: Int = ResumableDownload.defaultParts, _ session: ClientSession
  ) async throws -> FileDigest {
    let target = folder + "/output.zip"
    let isThere = SmallFile.exists(target)
    if isThere, let here = try? FileDigest.of(target), let line = try? await session.client.checksum(job),
      line.hasPrefix(here.sha256.hex + " ")
    {
      try session.remark("output.zip is here already")
      return here
    }
    let bar = TransferBar(session)
    defer { bar.clear() }
    let package = try await session.client.download(job).fetch(to: target, parts: parts) { done, total in
      bar.show(done, of: total)
    }
    if isThere {
      bar.clear()
      try session.remark("replaced another output.zip that was there")
    }
    return package
  }
}
