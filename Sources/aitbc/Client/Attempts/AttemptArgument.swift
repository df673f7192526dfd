import ArgumentParser
import JSON
import MarketplaceClient

/// A chain of attempts: by a job of it, or by its run key.
struct AttemptArgument: ParsableArguments {
  @Option(name: .customLong("job-id"), help: ArgumentHelp("A job of the chain.", valueName: "id"))
  var job: String?

  @Option(help: ArgumentHelp("The chain's run key.", valueName: "key"))
  var runKey: String?

  @Argument(help: ArgumentHelp("A job's id, or a run key.", valueName: "id|key"))
  var positional: String?

  enum Choice: Hashable {
    case job(String)
    case runKey(String)
  }

  /// What stands without an option is a job when it looks like one.
  var choice: Choice {
    if let job { return .job(job) }
    if let runKey { return .runKey(runKey) }
    let word = positional ?? ""
    return word.hasPrefix("job_") ? .job(word) : .runKey(word)
  }

  func validate() throws {
    let given = [job, runKey, positional].compactMap(\.self)
    guard given.count == 1 else {
      throw ValidationError(
        given.isEmpty ? "Which job? Give its id, or --run-key KEY." : "Give one of a job's id and a run key.")
    }
    guard !given[0].isEmpty, given[0].utf8.count <= 256 else { throw ValidationError("That is no job id and no key.") }
  }

  /// The id of a job of the chain; for a key the latest.
  func jobID(_ session: ClientSession) async throws -> String {
    switch choice {
    case .job(let id): return id
    case .runKey(let key):
      let known = try await session.client.runKey(key, limit: 1)
      guard let id = known["latest_job_id"]?.string else {
        throw ClientError.unexpected("the answer about a run key names no job")
      }
      return id
    }
  }

  /// The chain's run key; that of the job when a job is named.
  func key(_ session: ClientSession) async throws -> String {
    switch choice {
    case .runKey(let key): return key
    case .job(let id):
      guard let key = try await session.client.job(id).json["run_key"]?.string else {
        throw CommandFailure(.state, "\(id) has no run key", hint: "run it again with: aitbc client rerun \(id)")
      }
      return key
    }
  }
}
