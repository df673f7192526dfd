/// What all processes of one try together may use, where control groups can limit it. Nil: no limit of the operator's;
/// a job's own `memory_mb` and `cpus` hold besides.
public struct GroupLimits: Hashable, Sendable {
  /// Bytes.
  public var memory: Int64?
  /// Processes and threads.
  public var processes: Int64?
  /// Thousandths of a processor.
  public var millicpus: Int64?

  public init(memory: Int64? = nil, processes: Int64? = nil, millicpus: Int64? = nil) {
    self.memory = memory
    self.processes = processes
    self.millicpus = millicpus
  }

  var isEmpty: Bool { memory == nil && processes == nil && millicpus == nil }
}

/// What one payload may use at most (`setrlimit(2)`). Nil leaves what the miner itself was given; a limit above the
/// miner's own is lowered to it. Core dumps are always off.
public struct ProcessLimits: Hashable, Sendable {
  /// Bytes of address space per process. Default nil: GPU runtimes reserve far more than they use.
  public var addressSpace: Int64?
  /// Bytes of the largest file it may write. Default nil.
  public var fileSize: Int64?
  /// Open files per process. Default 4,096.
  public var openFiles: Int64?
  /// Processes and threads of the miner's user, all jobs together. Default nil; not enforced by the kernel for root.
  public var processes: Int64?
  /// How far its priority is lowered, 0 to 19. Default 5: the miner's renewals come first.
  public var niceness: Int

  public init(
    addressSpace: Int64? = nil, fileSize: Int64? = nil, openFiles: Int64? = 4096, processes: Int64? = nil,
    niceness: Int = 5
  ) {
    self.addressSpace = addressSpace
    self.fileSize = fileSize
    self.openFiles = openFiles
    self.processes = processes
    self.niceness = niceness
  }
}
