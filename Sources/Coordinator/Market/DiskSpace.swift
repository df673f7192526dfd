import JSON
import Marketplace
import Store
import Wire

extension Market {
  /// Throws 507 when the disk is too full for anything new.
  func requireRoom() async throws {
    guard try await freeBytes() >= configuration.diskFloor else {
      throw Problem(507, "disk_floor", "the coordinator's disk is nearly full; it takes no new work", retryAfter: 60)
    }
  }

  private func freeBytes() async throws -> Int64 {
    try await blockingly { [files] in try files.freeBytes() }
  }

  /// What `/v1/health` tells of the disk.
  func diskState() async throws -> DiskState {
    DiskState(
      freeBytes: try await freeBytes(), floorBytes: configuration.diskFloor,
      reserveBytes: files.reserve?.bytes ?? 0, isReserveSpent: files.reserve?.isSpent ?? false)
  }
}

/// How much room there is, and what that means.
struct DiskState: Hashable, Sendable {
  let freeBytes: Int64
  let floorBytes: Int64
  let reserveBytes: Int64
  let isReserveSpent: Bool

  /// New jobs and inputs are taken.
  var takesNewWork: Bool { freeBytes >= floorBytes && !isReserveSpent }

  var json: JSONValue {
    [
      "free_bytes": .integer(freeBytes), "floor_bytes": .integer(floorBytes), "reserve_bytes": .integer(reserveBytes),
      "reserve_spent": .bool(isReserveSpent), "takes_new_work": .bool(takesNewWork),
    ]
  }
}
