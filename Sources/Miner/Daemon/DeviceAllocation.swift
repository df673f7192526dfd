import Marketplace

/// Which GPUs are given to which lease. A value.
struct DeviceAllocation: Hashable, Sendable {
  let devices: [GPUDevice]
  private var users: [String: [Int]] = [:]

  init(_ devices: [GPUDevice]) { self.devices = devices }

  /// Devices for a job, each with the name and memory it asks for. Nil when not enough are free.
  mutating func allocate(_ constraints: Constraints, to lease: String) -> [Int]? {
    guard constraints.devices > 0 else { return [] }
    let taken = Set(users.values.joined())
    let fitting = devices.indices.filter { index in
      let device = devices[index]
      return !taken.contains(index)
        && (constraints.gpu.map { GPUName.matches(wanted: $0, offered: device.name) } ?? true)
        && device.memoryMiB / 1024 >= constraints.minimumVRAM ?? 0
    }
    guard fitting.count >= constraints.devices else { return nil }
    let chosen = Array(fitting.prefix(constraints.devices))
    users[lease] = chosen
    return chosen
  }

  mutating func release(_ lease: String) { users[lease] = nil }
}
