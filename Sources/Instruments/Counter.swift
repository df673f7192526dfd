import Synchronization

/// A number that only rises, from any thread. Adding is one atomic instruction.
public final class Counter: Sendable {
  private let count = Atomic<Int64>(0)

  public init() {}

  public func add(_ amount: Int = 1) { count.wrappingAdd(Int64(amount), ordering: .relaxed) }

  public var value: Int64 { count.load(ordering: .relaxed) }
}
