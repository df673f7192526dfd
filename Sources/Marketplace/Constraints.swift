public import JSON

/// What a miner must offer to run a job. Nil and empty mean "any".
public struct Constraints: Hashable, Sendable {
  /// GPU name, see ``GPUName``.
  public var gpu: String?
  /// How many devices; each must satisfy ``gpu`` and ``minimumVRAM`` itself.
  public var gpuCount: Int?
  /// GiB on each device.
  public var minimumVRAM: Int?
  /// Least CUDA version, compared number by number.
  public var cuda: String?
  /// Models the miner must have, all of them.
  public var models: [String]
  public var region: String?
  /// Highest price per GPU-hour the client pays; equal is fine.
  public var maximumPrice: Money?
  /// All must be equal to the miner's.
  public var labels: [String: String]
  public var cpus: Int?
  public var memoryMiB: Int?
  /// The job asks for network access; a miner gives it only when its operator allows it.
  public var network: Bool

  public init() {
    models = []
    labels = [:]
    network = false
  }

  /// How many devices the job takes and pays for.
  public var devices: Int { gpuCount ?? (gpu != nil || minimumVRAM != nil ? 1 : 0) }

  public var json: JSONValue {
    var object = JSONObject()
    if let gpu { object.append("gpu", .string(gpu)) }
    if let gpuCount { object.append("gpu_count", .integer(Int64(gpuCount))) }
    if let minimumVRAM { object.append("min_vram_gb", .integer(Int64(minimumVRAM))) }
    if let cuda { object.append("cuda", .string(cuda)) }
    if !models.isEmpty { object.append("models", .array(models.map(JSONValue.string))) }
    if let region { object.append("region", .string(region)) }
    if let maximumPrice { object.append("max_price", .string(maximumPrice.description)) }
    if !labels.isEmpty { object.append("labels", .object(labels.sortedJSON)) }
    if let cpus { object.append("cpus", .integer(Int64(cpus))) }
    if let memoryMiB { object.append("memory_mb", .integer(Int64(memoryMiB))) }
    if network { object.append("network", true) }
    return .object(object)
  }

  /// Reads ``json`` back; what is not there stays "any".
  public init(json: JSONValue) {
    gpu = json["gpu"]?.string
    gpuCount = json["gpu_count"]?.integer.map(Int.init)
    minimumVRAM = json["min_vram_gb"]?.integer.map(Int.init)
    cuda = json["cuda"]?.string
    models = json["models"]?.array?.compactMap(\.string) ?? []
    region = json["region"]?.string
    maximumPrice = json["max_price"]?.string.flatMap { Money(decimal: $0) }
    labels = Dictionary(labelsIn: json["labels"])
    cpus = json["cpus"]?.integer.map(Int.init)
    memoryMiB = json["memory_mb"]?.integer.map(Int.init)
    network = json["network"]?.bool ?? false
  }
}
