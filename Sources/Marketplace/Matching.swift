/// One thing a job asks of a miner; named in `pending_reason` when miners lack it.
public enum Requirement: String, CaseIterable, Hashable, Sendable {
  case runner
  case gpu
  case gpuCount = "gpu_count"
  case vram = "min_vram_gb"
  case cuda
  case models
  case region
  case price = "max_price"
  case labels
  case cpus
  case memory = "memory_mb"
  case network
}

/// What a job asks for, without what does not matter for placement. Jobs with equal requirements form one *class*:
/// a miner is matched against classes, not jobs.
public struct Requirements: Hashable, Sendable {
  public let runner: String
  public let constraints: Constraints

  public init(runner: String, constraints: Constraints) {
    self.runner = runner
    self.constraints = constraints
  }

  public init(of specification: JobSpecification) {
    self.init(runner: specification.runner, constraints: specification.constraints)
  }

  /// Everything the offer lacks; empty when the miner fits.
  public func missing(in offer: MinerOffer) -> [Requirement] {
    Requirement.allCases.filter { !isMet($0, by: offer) }
  }

  private func isMet(_ requirement: Requirement, by offer: MinerOffer) -> Bool {
    let wanted = constraints
    switch requirement {
    case .runner: return offer.runs(runner)
    case .gpu:
      guard let gpu = wanted.gpu else { return true }
      return offer.gpus.contains { GPUName.matches(wanted: gpu, offered: $0.name) }
    case .vram:
      guard wanted.minimumVRAM != nil else { return true }
      return !fittingDevices(in: offer).isEmpty
    // Without a count one device is enough, and that it lacks is the name or the memory.
    case .gpuCount:
      guard let count = wanted.gpuCount else { return true }
      return fittingDevices(in: offer).count >= count
    case .cuda:
      guard let cuda = wanted.cuda else { return true }
      return offer.cuda.map { Version.isAtLeast($0, cuda) } ?? false
    case .models: return wanted.models.allSatisfy(offer.models.contains)
    case .region: return wanted.region.map { $0 == offer.region } ?? true
    case .price: return wanted.maximumPrice.map { offer.effectivePrice <= $0 } ?? true
    case .labels: return wanted.labels.allSatisfy { offer.labels[$0.key] == $0.value }
    case .cpus: return offer.cpus >= wanted.cpus ?? 0
    case .memory: return offer.memoryMiB >= wanted.memoryMiB ?? 0
    case .network: return !wanted.network || offer.allowsNetwork
    }
  }

  /// Devices with the wanted name *and* memory: both on the same one.
  private func fittingDevices(in offer: MinerOffer) -> [GPUDevice] {
    offer.gpus.filter { device in
      (constraints.gpu.map { GPUName.matches(wanted: $0, offered: device.name) } ?? true)
        && Self.gibibytes(device.memoryMiB) >= constraints.minimumVRAM ?? 0
    }
  }

  /// To the nearest GiB: a card sold with 24 GB reports 24,564 MiB, and its owner means 24.
  private static func gibibytes(_ mebibytes: Int) -> Int { mebibytes / 1024 + (mebibytes % 1024 >= 512 ? 1 : 0) }
}

/// Dotted version numbers.
public enum Version {
  /// Whether `offered` ≥ `wanted`, number by number; missing numbers count as 0. Anything that is not a dotted number
  /// is at least only what it is equal to.
  public static func isAtLeast(_ offered: String, _ wanted: String) -> Bool {
    guard let left = parse(offered), let right = parse(wanted) else { return offered == wanted }
    for index in 0..<max(left.count, right.count) {
      let (a, b) = (index < left.count ? left[index] : 0, index < right.count ? right[index] : 0)
      if a != b { return a > b }
    }
    return true
  }

  private static func parse(_ text: String) -> [Int]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { part in
      part.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int(part) : nil
    }
    return numbers.count == parts.count ? numbers : nil
  }
}
