public import Marketplace

/// A GPU that the operator names: `--gpu 'RTX 4090:24576'`, its name and MiB of memory.
public struct GPUOption: Hashable, Sendable {
  public let device: GPUDevice

  public init(_ text: String) throws(InvalidGPU) {
    guard let colon = text.lastIndex(of: ":") else { throw InvalidGPU("\"\(text)\" must be NAME:MEMORY_IN_MIB") }
    let name = text[..<colon].drop { $0 == " " }
    guard !name.isEmpty, name.utf8.count <= 128, name.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 })
    else { throw InvalidGPU("\"\(text)\" needs a name before the colon") }
    guard let memory = Int(text[text.index(after: colon)...]), (1...16_777_216).contains(memory) else {
      throw InvalidGPU("\"\(text)\": memory must be a number of MiB from 1 to 16777216")
    }
    device = GPUDevice(name: String(name), memoryMiB: memory)
  }
}

/// What is wrong with a `--gpu`.
public struct InvalidGPU: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = "--gpu " + description }
}
