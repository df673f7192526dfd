import Glibc
import Marketplace
import NIOCore

/// What this machine has, found out once at start.
struct HostFacts: Hashable, Sendable {
  var gpus: [GPUDevice] = []
  var cuda: String?
  var cpus = 1
  var memoryMiB = 0

  /// Asks the system. `nvidia-smi` runs under a supervisor with a limit of 15 s: a driver in trouble can make it hang.
  static func detect(executable: String) async -> HostFacts {
    var facts = HostFacts()
    facts.cpus = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    facts.memoryMiB = sysconf(Int32(_SC_PHYS_PAGES)) / 1024 * sysconf(Int32(_SC_PAGESIZE)) / 1024
    let query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    guard let list = await output(of: query, executable: executable) else { return facts }
    facts.gpus = devices(inCSV: list)
    if !facts.gpus.isEmpty, let table = await output(of: ["nvidia-smi"], executable: executable) {
      facts.cuda = cudaVersion(inTable: table)
    }
    return facts
  }

  /// `NVIDIA H100 80GB HBM3, 81559` a line. Lines that are no device (errors, a GPU that fell off the bus) are left
  /// out.
  static func devices(inCSV text: String) -> [GPUDevice] {
    text.split(whereSeparator: \.isNewline).prefix(64).compactMap { line in
      guard let comma = line.lastIndex(of: ",") else { return nil }
      let memory = line[line.index(after: comma)...].filter { $0 != " " && $0 != "\r" }
      var name = String(line[..<comma])
      // The maker's name is not what people ask for.
      for prefix in ["NVIDIA GeForce ", "NVIDIA "] where name.hasPrefix(prefix) { name.removeFirst(prefix.count) }
      guard !name.isEmpty, let memory = Int(memory), memory > 0 else { return nil }
      return GPUDevice(name: name, memoryMiB: memory)
    }
  }

  /// The driver's highest CUDA version, from the head of nvidia-smi's table.
  static func cudaVersion(inTable text: String) -> String? {
    let label = "CUDA Version:"
    for line in text.split(whereSeparator: \.isNewline).prefix(32) {
      let fields = line.split(separator: "|").flatMap { $0.split(separator: " ", omittingEmptySubsequences: true) }
      for index in fields.indices.dropLast(2) where "\(fields[index]) \(fields[index + 1])" == label {
        let version = fields[index + 2]
        if version.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }) { return String(version) }
      }
    }
    return nil
  }

  private static func output(of command: [String], executable: String) async -> String? {
    var command = SupervisedCommand(
      arguments: command, environment: [("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin"), ("LC_ALL", "C")],
      directory: "/")
    command.timeout = Seconds(15)
    command.timeoutGrace = Seconds(1)
    command.label = "gpu-detection"
    guard let process = try? await SupervisedProcess.start(command, executable: executable) else { return nil }
    async let errors: [UInt8] = collect(process.stderr)
    let text = await collect(process.stdout)
    _ = await errors
    guard await process.end.outcome == .exited(code: 0) else { return nil }
    return String(decoding: text, as: UTF8.self)
  }

  private static func collect(_ pipe: PipeReader) async -> [UInt8] {
    var bytes: [UInt8] = []
    var iterator = pipe.makeAsyncIterator()
    while let chunk = try? await iterator.next() {
      if bytes.count < 1 << 20 { bytes += chunk.readableBytesView }
    }
    return bytes
  }
}
