public import Clocks
public import Marketplace

/// A program to run under a supervisor.
public struct SupervisedCommand: Sendable {
  /// Program and arguments. The program is looked for in the `PATH` of ``environment``.
  public var arguments: [String]
  /// The whole environment: nothing of the miner's own is added.
  public var environment: [(name: String, value: String)]
  /// Where it starts.
  public var directory: String
  /// The sandbox's command line up to its `--`; empty runs the payload bare. See ``Bubblewrap``.
  public var sandbox: [String] = []
  public var limits = ProcessLimits()
  /// Nil: the program stays in the miner's own control group.
  public var group: ControlGroup?
  /// How long it may run before it is ended. Nil: as long as it likes.
  public var timeout: Seconds?
  /// Between TERM and KILL when the timeout strikes. Default 10 s.
  public var timeoutGrace = Seconds(10)
  /// Nothing of it may run at or after this moment; see ``SupervisedProcess/fence(at:)``. Nil: no such moment.
  public var fence: MonotonicTime?
  /// Stands in the supervisor's command line, for people who look at `ps`. Not secret.
  public var label = "job"

  public init(arguments: [String], environment: [(name: String, value: String)], directory: String) {
    self.arguments = arguments
    self.environment = environment
    self.directory = directory
  }

  /// Variable in every payload's environment with a random value, by which leftovers can be found when both a miner
  /// and its supervisor were killed.
  static let markerName = "AITBC_PROCESS_MARKER"

  /// `NAME=value` of the marker, when the environment has one.
  var marker: String? {
    environment.last { $0.name == Self.markerName }.map { $0.name + "=" + $0.value }
  }

  /// The supervisor's configuration; its format stands in `CSupervisor/configuration.c`.
  func encoded() throws(InvalidCommand) -> [UInt8] {
    guard let program = arguments.first, !program.isEmpty else { throw InvalidCommand("the command is empty") }
    var encoder = ConfigurationEncoder()
    for argument in sandbox { try encoder.append("w", argument, "sandbox argument") }
    for argument in arguments { try encoder.append("a", argument, "command") }
    for (name, value) in environment {
      guard !name.isEmpty, !name.utf8.contains(UInt8(ascii: "=")) else {
        throw InvalidCommand("env: \"\(name.prefix(64))\" is not a variable's name")
      }
      try encoder.append("e", name + "=" + value, "env")
    }
    try encoder.append("d", directory, "directory")
    try encoder.append("A", limits.addressSpace)
    try encoder.append("F", limits.fileSize)
    try encoder.append("N", limits.openFiles)
    try encoder.append("P", limits.processes)
    if let group {
      try encoder.append("c", group.path, "control group")
      try encoder.append("m", group.memory)
      try encoder.append("p", group.processes)
      try encoder.append("u", group.millicpus)
    }
    try encoder.append("t", timeout.map { max(1, $0.milliseconds) })
    try encoder.append("g", max(0, timeoutGrace.milliseconds))
    try encoder.append("f", fence.map { max(1, $0.milliseconds) })
    try encoder.append("n", Int64(min(19, max(0, limits.niceness))))
    return try encoder.finish()
  }
}

/// A command that no program can be started with.
public struct InvalidCommand: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }
}

private struct ConfigurationEncoder {
  /// As `BYTES_MAX` and `RECORDS_MAX` of the reader.
  static let maximumBytes = 8 << 20
  static let maximumRecords = 65_536

  private var bytes = Array("aitbc-supervise/1".utf8) + [0]
  private var records = 1

  mutating func append(_ tag: Unicode.Scalar, _ text: String, _ field: String) throws(InvalidCommand) {
    guard !text.utf8.contains(0) else { throw InvalidCommand("\(field): a NUL character can't be passed on") }
    bytes.append(UInt8(ascii: tag))
    bytes.append(contentsOf: text.utf8)
    bytes.append(0)
    records += 1
  }

  mutating func append(_ tag: Unicode.Scalar, _ number: Int64?) throws(InvalidCommand) {
    guard let number else { return }
    try append(tag, String(max(0, number)), "limit")
  }

  consuming func finish() throws(InvalidCommand) -> [UInt8] {
    try append(".", "", "end")
    guard bytes.count <= Self.maximumBytes, records <= Self.maximumRecords else {
      throw InvalidCommand("command and env have \(bytes.count) bytes in \(records) parts, which is too much")
    }
    return bytes
  }
}
