import Glibc
import Synchronization

/// The durable steps of a coordinator, by name. Tests have the process die before or after the N-th time that it comes
/// to one, and look at what is there after a restart.
///
/// Armed by the environment variable `AITBC_CRASH_POINT=NAME:before|after[:N]` alone, read once; a coordinator that
/// finds it says so in its log, and does not start when it does not understand it. Without it a step costs one look
/// at a constant.
public enum CrashPoint: String, CaseIterable, Sendable {
  /// The writer's commit of a group.
  case commit
  /// Handing a commit's events to the feeds.
  case publish
  /// Answering the writers of a commit.
  case answer
  /// Bytes of a job's output.
  case logWrite = "log-write"
  case logSync = "log-sync"
  /// Bytes of an input or an artifact.
  case uploadWrite = "upload-write"
  case uploadSync = "upload-sync"
  /// An upload that is whole gets its name.
  case uploadRename = "upload-rename"
  case blobRecord = "blob-record"
  case artifactRecord = "artifact-record"
  case packageSync = "package-sync"
  case packageRename = "package-rename"
  case packageRecord = "package-record"
  /// A folder with a new name in it is made durable.
  case folderSync = "folder-sync"
  /// A first key gets its file.
  case keyFile = "key-file"

  public enum Moment: String, CaseIterable, Sendable { case before, after }

  /// Where this process is to die.
  struct Plan: Hashable, Sendable {
    let point: CrashPoint
    let moment: Moment
    /// At the how many-th time.
    let count: Int

    init?(_ text: String) {
      let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2 || parts.count == 3, let point = CrashPoint(rawValue: parts[0]),
        let moment = Moment(rawValue: parts[1]), let count = parts.count == 3 ? Int(parts[2]) : 1, count > 0
      else { return nil }
      (self.point, self.moment, self.count) = (point, moment, count)
    }
  }

  private static let text = getenv("AITBC_CRASH_POINT").map { String(cString: $0) }
  private static let plan = text.flatMap { Plan($0) }
  private static let passed = Atomic<Int>(0)

  /// What the environment asks for; nil without it. Throws ``StoreError/failed(_:)`` when it can't be understood.
  public static func armed() throws(StoreError) -> String? {
    guard let text else { return nil }
    guard plan != nil else {
      let names = allCases.map(\.rawValue).joined(separator: ", ")
      throw .failed("AITBC_CRASH_POINT must be NAME:before|after[:N] with one of \(names); it is \(text)")
    }
    return text
  }

  /// Does a step, and dies before or after it when that was asked for.
  @inline(__always)
  func around<Value, Failure: Error>(_ step: () throws(Failure) -> Value) throws(Failure) -> Value {
    reach(.before)
    let value = try step()
    reach(.after)
    return value
  }

  /// Dies here when that was asked for, as if by `kill -9`.
  @inline(__always)
  public func reach(_ moment: Moment) {
    if let plan = Self.plan, plan.point == self, plan.moment == moment { Self.pass(plan) }
  }

  private static func pass(_ plan: Plan) {
    guard passed.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue == plan.count else { return }
    kill(getpid(), SIGKILL)
    // The signal is on its way.
    while true { pause() }
  }
}
