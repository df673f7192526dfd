import Clocks
import Marketplace
import MarketplaceClient

/// Watches a job to its end, within a time if one is given.
struct Watcher {
  let session: ClientSession
  let job: String
  var wantsLogs = false
  var timeout: TimeSpan?

  /// Returns the final document. Ends the command with 8 when the time has passed, and with 130, after telling that the
  /// job goes on, when the person interrupts.
  func run(_ view: WatchView) async throws -> JobSnapshot {
    do {
      guard let timeout else { return try await follow(view) }
      return try await withThrowingTaskGroup(of: JobSnapshot?.self) { group in
        group.addTask { try await follow(view) }
        group.addTask {
          try await session.context.clock.sleep(for: timeout.seconds)
          return nil
        }
        defer { group.cancelAll() }
        guard let first = try await group.next(), let end = first else {
          throw CommandFailure(
            .timeout, "\(job) is still active after \(timeout.seconds.whole) s", hint: Self.hint(job))
        }
        return end
      }
    } catch is CancellationError {
      try? session.context.errors.line("\ninterrupted; \(job) goes on. \(Self.hint(job))")
      throw CommandExit(.interrupted)
    }
  }

  /// For a verb that has just submitted the job. Standard output is the id, or the job's own output when its logs are
  /// wanted, or the final document.
  func runAfterSubmission(_ format: OutputFormat) async throws -> JobSnapshot {
    if format == .table || format == .id {
      try (wantsLogs ? session.context.errors : session.output).line(job)
    }
    let form = WatchCommand.form(format, session)
    let end = try await run(WatchView(form, linesToErrors: form != .jsonLines, session))
    if format != .id { try WatchCommand.finish(end, format, linesToErrors: true, session) }
    return end
  }

  private static func hint(_ job: String) -> String {
    "watch it again with: aitbc client watch \(job); end it with: aitbc client cancel \(job)"
  }

  private func follow(_ view: WatchView) async throws -> JobSnapshot {
    var view = view
    var options = FeedOptions()
    options.wantsLogs = wantsLogs
    for try await event in session.client.watch(job, options: options) {
      try view.show(event)
      if case .end(let snapshot) = event { return snapshot }
    }
    throw ClientError.unexpected("the feed of \(job) ended before the job did")
  }
}
