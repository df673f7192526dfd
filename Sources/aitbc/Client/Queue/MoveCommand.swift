import ArgumentParser
import Marketplace
import MarketplaceClient

struct MoveCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "move", abstract: "Give a waiting job another place in the queue, or another priority.",
    discussion: """
      Examples:
        aitbc client move JOB --top
        aitbc client move JOB --before OTHER
        aitbc client move JOB --priority urgent
      Jobs change places with your own of the same priority; nobody else waits longer for it. Another priority changes \
      the price too.
      """)

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions
  @OptionGroup var job: JobArgument

  @Option(help: ArgumentHelp("Right before this one.", valueName: "job")) var before: String?
  @Option(help: ArgumentHelp("Right after this one.", valueName: "job")) var after: String?
  @Flag(help: "Before all others.") var top = false
  @Flag(help: "After all others.") var bottom = false
  @Option(help: "low, normal, high or urgent.") var priority: PriorityWord?

  var callTimeout: TimeSpan? { timeout.timeout }

  private var targets: [QueueTarget] {
    [before.map(QueueTarget.before), after.map(QueueTarget.after), top ? .top : nil, bottom ? .bottom : nil]
      .compactMap(\.self)
  }

  func validate() throws {
    guard targets.count + (priority == nil ? 0 : 1) == 1 else {
      throw ValidationError("Give one of --before, --after, --top, --bottom and --priority.")
    }
  }

  func run(_ session: ClientSession) async throws {
    let moved: JobSnapshot
    if let target = targets.first {
      moved = try await session.client.move(job.id, to: target)
    } else {
      let word = priority?.rawValue ?? ""
      guard let priority = Priority(word: word) else { throw CommandFailure(.usage, "no such priority: \(word)") }
      moved = try await session.client.reprioritise(job.id, to: priority)
    }
    try JobOutput.write(moved, session.format(format.output), to: session.output) {
      let position = moved.queuePosition.map { " position \($0)" + (moved.isQueuePositionMinimum ? "+" : "") } ?? ""
      return ["\(moved.id) \(moved.priorityWord ?? "")" + position]
    }
  }
}
