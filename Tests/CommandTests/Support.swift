import Clocks
import LoopbackServer
import Marketplace
import Synchronization

@testable import aitbc

/// Collects what a command writes.
final class Collector: ByteOutput {
  private let bytes = Mutex<[UInt8]>([])
  private let breaksAfter: Int?

  /// `breaksAfter`: the reader goes away after so many bytes.
  init(breaksAfter: Int? = nil) { self.breaksAfter = breaksAfter }

  func write(_ bytes: [UInt8]) throws {
    let count = self.bytes.withLock { all in
      all += bytes
      return all.count
    }
    if let breaksAfter, count > breaksAfter { throw BrokenPipe() }
  }

  var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
}

struct Outcome: Sendable {
  let code: Int32
  let output: String
  let errors: String
}

/// A clock that stands still and whose sleeps end at once.
struct StillClock: MarketClock {
  var now: Timestamp { Timestamp(milliseconds: 1_770_000_000_000) }
  var monotonic: MonotonicTime { MonotonicTime(milliseconds: 0) }
  func sleep(until deadline: MonotonicTime) async throws { try Task.checkCancellation() }
}

/// Runs a command line as `main` would, in a folder, without a process.
func run(
  _ arguments: [String], url: String? = nil, folder: String = "/nonexistent", environment: [String: String] = [:],
  breaksAfter: Int? = nil, change: (inout CommandContext) -> Void = { _ in }
) async -> Outcome {
  let output = Collector(breaksAfter: breaksAfter)
  let errors = Collector()
  var context = CommandContext(output: output, errors: errors)
  context.environment = ["HOME": folder].merging(environment) { $1 }
  if let url { context.environment["AITBC_URL"] = url }
  if environment["AITBC_API_KEY"] == nil { context.environment["AITBC_API_KEY"] = "ak_test" }
  context.workingDirectory = folder
  context.clock = StillClock()
  change(&context)
  let code = await Runner.run(arguments, in: context)
  return Outcome(code: code, output: output.text, errors: errors.text)
}

/// The same, word by word.
func run(
  _ arguments: String..., url: String? = nil, folder: String = "/nonexistent", environment: [String: String] = [:],
  breaksAfter: Int? = nil, change: (inout CommandContext) -> Void = { _ in }
) async -> Outcome {
  await run(
    arguments, url: url, folder: folder, environment: environment, breaksAfter: breaksAfter, change: change)
}

/// A job's document with these members changed.
func document(_ status: String = "completed", _ more: String = "") -> String {
  """
  {"job_id":"job_1","name":"n","status":"\(status)","progress":100,"try":1,"attempt_no":1,\
  "created_at":"2026-02-13T10:00:00.000Z","started_at":"2026-02-13T10:01:00.000Z",\
  "completed_at":"2026-02-13T10:02:30.000Z","exit_code":0,"cost":"0.001250","results_available":true\(more)}
  """
}
