import Clocks
import Logging
import Marketplace
import Wire

/// A try at work, as ``MinerCore`` sees it: a ``TryExecution``, or in the simulation one without processes.
protocol MinerTry: AnyObject, Sendable {
  var assignment: Assignment { get }
  /// For `hello`.
  var held: HeldLease { get }
  /// Whether it takes a slot: not any more when only its report is under way.
  var takesSlot: Bool { get }
  var stage: TryStage { get }
  var logger: Logger { get }

  /// Never waits.
  func handle(_ event: TryMachine.Event)
  /// The lease goes on: nothing of it may run after this moment unless it is told a later one, even if the miner stands
  /// still.
  func hold(until moment: MonotonicTime)
  /// A connection stands over which the lease goes on; the coordinator has this much of the logs.
  func resumed(_ connection: any MinerConnection, stdout: Int64, stderr: Int64)
  func disconnected()
  func acknowledged(_ stream: LogStream, _ offset: Int64)
  func logRejected()
  /// The miner goes and does not wait for it. Returns its folder when that holds the result of a program that ended by
  /// itself; the folder then stays.
  func abandon() -> String?
  /// Runs it to its end; nothing of it is left then.
  func run() async
}

/// What of a try is still to come, for a miner that is to go.
enum TryStage {
  /// It is being prepared, or its program runs.
  case payload
  /// It has ended, and the coordinator has not taken what it left.
  case result
  /// It never ran.
  case refusal
}
