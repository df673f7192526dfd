import Glibc
import JSON
import Logging
import Marketplace
import NIOPosix
import ResultPackage
import Wire

/// A try's folder with what reads and writes in it.
struct TryWorkspace: Sendable {
  let directory: JobDirectory
  let stdout: OutputSink
  let stderr: OutputSink
  let shipper: LogShipper

  /// Makes the folder, the spools and, for runners that take one, the payload's file. Throws ``FileError``.
  static func make(_ assignment: Assignment, _ services: TryServices) async throws -> TryWorkspace {
    let limit = services.configuration.logLimit
    let specification = assignment.specification
    return try await NIOThreadPool.singleton.runIfActive {
      let directory = try services.work.makeJobDirectory("\(assignment.job).\(assignment.tryNumber)")
      do {
        let stdout = try LogSpool(path: directory.stdoutLog, limit: limit)
        let stderr = try LogSpool(path: directory.stderrLog, limit: limit)
        if specification.runner != "process", !specification.inputs.contains(where: { $0.path == "payload.json" }) {
          try write(JSONValue.object(specification.payload).encoded, to: directory.work + "/payload.json")
        }
        let shipper = LogShipper(lease: assignment.lease, stdout: stdout, stderr: stderr)
        return TryWorkspace(
          directory: directory,
          stdout: OutputSink(stream: .stdout, spool: stdout) { shipper.grew(.stdout, to: $0) },
          stderr: OutputSink(stream: .stderr, spool: stderr) { shipper.grew(.stderr, to: $0) }, shipper: shipper)
      } catch {
        try? directory.remove()
        throw error
      }
    }
  }

  /// What the job left: its output folder, and what it named in its working directory. What can't be an artifact is
  /// told in the job's standard error.
  func artifacts(
    _ named: [String], _ configuration: MinerConfiguration, _ logger: Logger
  ) async throws -> [ArtifactWalk.Found] {
    let directory = directory
    let walk = try await NIOThreadPool.singleton.runIfActive {
      var walk = ArtifactWalk(
        maximumFiles: configuration.artifactLimit, maximumBytes: configuration.artifactBytes)
      try walk.add(folder: directory.output)
      for name in named { try walk.add(named: name, below: directory.work) }
      return walk
    }
    if !walk.leftOut.isEmpty { await tell(walk.leftOut, logger) }
    return walk.found
  }

  private func tell(_ leftOut: LeftOut, _ logger: Logger) async {
    logger.notice("artifacts were left out", metadata: ["count": "\(leftOut.count)"])
    do {
      try await stderr.write(Array(leftOut.lines.joined().utf8))
    } catch {
      // A full log or disk has ended the job with a reason of its own.
      logger.warning("the job's log can't tell which: \(error)")
    }
  }

  /// A failure of ours in the job's words.
  static func failure(_ error: any Error) -> JobError {
    switch error {
    case let error as InputFailure: error.error
    case UploadFailure.failed(let error): error
    case let error as ArtifactWalk.TooMuch: JobError(.outputTooLarge, error.description)
    case let error as FileError where error.code == ENOSPC || error.code == EDQUOT:
      JobError(.diskFull, "the miner's disk is full")
    case is CancellationError: JobError(.canceled, "stopped")
    default: JobError(.minerError, "\(error)")
    }
  }

  private static func write(_ bytes: [UInt8], to path: String) throws {
    let file = try Descriptor(opening: path, O_WRONLY | O_CREAT | O_EXCL)
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        Glibc.write(file.raw, buffer.baseAddress.map { $0 + done }, bytes.count - done)
      }
      guard count > 0 else { throw FileError(path: path, operation: "write", code: errno) }
      done += count
    }
  }
}
