public import JSON

/// One GPU of a miner.
public struct GPUDevice: Hashable, Sendable {
  public var name: String
  public var memoryMiB: Int

  public init(name: String, memoryMiB: Int) {
    self.name = name
    self.memoryMiB = memoryMiB
  }
}

/// What a miner offers: the other half of ``Constraints``.
public struct MinerOffer: Hashable, Sendable {
  /// One element per device.
  public var gpus: [GPUDevice]
  public var cuda: String?
  public var models: [String]
  /// Runners it has: `process`, `noop`, `inference`, …
  public var runners: [String]
  public var region: String?
  /// Price per GPU-hour it asks for. Nil: the list price of its GPU.
  public var price: Money?
  public var labels: [String: String]
  public var cpus: Int
  public var memoryMiB: Int
  /// The operator lets jobs use the network.
  public var allowsNetwork: Bool
  /// How many jobs at a time.
  public var slots: Int

  public init(runners: [String], slots: Int) {
    self.runners = runners
    self.slots = slots
    gpus = []
    models = []
    labels = [:]
    cpus = 0
    memoryMiB = 0
    allowsNetwork = false
  }

  /// What an hour on it costs.
  public var effectivePrice: Money {
    price ?? gpus.lazy.compactMap { Pricing.listPrice(gpu: $0.name) }.first ?? Pricing.defaultPrice
  }

  /// Whether it has a runner. `*`, which miners say that take any payload, does not stand for programs.
  public func runs(_ runner: String) -> Bool {
    runners.contains(runner) || (runner != "process" && runners.contains("*"))
  }

  public var json: JSONValue {
    var object = JSONObject()
    object.append(
      "gpus", .array(gpus.map { ["name": .string($0.name), "memory_mb": .integer(Int64($0.memoryMiB))] }))
    if let cuda { object.append("cuda", .string(cuda)) }
    object.append("models", .array(models.map(JSONValue.string)))
    object.append("runners", .array(runners.map(JSONValue.string)))
    if let region { object.append("region", .string(region)) }
    if let price { object.append("price", .string(price.description)) }
    object.append("labels", .object(labels.sortedJSON))
    object.append("cpus", .integer(Int64(cpus)))
    object.append("memory_mb", .integer(Int64(memoryMiB)))
    object.append("network", .bool(allowsNetwork))
    object.append("slots", .integer(Int64(slots)))
    return .object(object)
  }

  /// Reads ``json`` back. Nil without runners and slots, and for a price that can't be read: guessing one would charge
  /// for it.
  public init?(json: JSONValue) {
    guard let runners = json["runners"]?.array, let slots = json["slots"]?.integer else { return nil }
    self.init(runners: runners.compactMap(\.string), slots: Int(clamping: slots))
    gpus = (json["gpus"]?.array ?? []).compactMap { device in
      guard let name = device["name"]?.string else { return nil }
      return GPUDevice(name: name, memoryMiB: Int(clamping: device["memory_mb"]?.integer ?? 0))
    }
    cuda = json["cuda"]?.string
    models = json["models"]?.array?.compactMap(\.string) ?? []
    region = json["region"]?.string
    if let value = json["price"], !value.isNull {
      guard let amount = (value.string ?? value.numberText).flatMap({ Money(decimal: $0) }) else { return nil }
      price = amount
    }
    labels = Dictionary(labelsIn: json["labels"])
    cpus = Int(clamping: json["cpus"]?.integer ?? 0)
    memoryMiB = Int(clamping: json["memory_mb"]?.integer ?? 0)
    allowsNetwork = json["network"]?.bool ?? false
  }
}
