import Glibc
public import Logging
import Marketplace
import NIOCore

/// Finds out once, by running something, whether payloads can be sandboxed here.
public struct SandboxProbe: Sendable {
  public var mode: SandboxMode
  /// More paths that jobs may read (`--sandbox-bind`).
  public var readable: [String]
  /// Paths that jobs must never see.
  public var hidden: [String]
  /// What becomes supervisor and launcher. Default: this very program.
  public var executable: String
  /// Where `bwrap` is looked for.
  public var searchPath: String

  public init(
    mode: SandboxMode, readable: [String] = [], hidden: [String] = [], executable: String = "/proc/self/exe",
    searchPath: String = "/usr/local/bin:/usr/bin:/bin"
  ) {
    self.mode = mode
    self.readable = readable
    self.hidden = hidden
    self.executable = executable
    self.searchPath = searchPath
  }

  /// The sandbox to use. Throws ``SandboxUnavailable`` when bubblewrap was demanded and does not work.
  public func run(logger: Logger) async throws -> Sandbox {
    if mode == .none {
      logger.warning("no sandbox, as asked: \(Sandbox.missingProtection)")
      return .none
    }
    let (found, reason) = await candidate()
    if let found {
      logger.info("jobs run in bubblewrap (\(found.program))")
      return .bubblewrap(found)
    }
    guard mode == .auto else { throw SandboxUnavailable(reason: reason) }
    logger.warning("NO SANDBOX: \(reason). Until that is mended \(Sandbox.missingProtection)")
    return .none
  }

  private func candidate() async -> (Bubblewrap?, String) {
    let programs = searchPath.split(separator: ":").map { String($0) + "/bwrap" }
    guard let program = programs.first(where: { FilePathFacts.isExecutable($0) }) else {
      return (nil, "bubblewrap is not installed (no bwrap in \(searchPath))")
    }
    let launcher = FilePathFacts.linkTarget(executable) ?? executable
    guard FilePathFacts.isExecutable(launcher) else {
      return (nil, "this program's file \(launcher) is gone, so it can't be shown inside the sandbox")
    }
    if let missing = readable.first(where: { access($0, F_OK) != 0 }) {
      return (nil, "--sandbox-bind \(missing): there is no such file")
    }
    var bubblewrap = Bubblewrap(
      program: program, readable: readable, hidden: hidden.filter { FilePathFacts.isDirectory($0) }, launcher: launcher,
      libraries: LoadedLibraries.foreign())
    var reason = ""
    for disables in [true, false] {
      bubblewrap.disablesUserNamespaces = disables
      guard let failure = await failure(of: bubblewrap) else { return (bubblewrap, "") }
      reason = failure
    }
    return (nil, reason)
  }

  /// Runs `true` in it; nil when that works, else what it said.
  private func failure(of bubblewrap: Bubblewrap) async -> String? {
    var command = SupervisedCommand(arguments: ["true"], environment: [("PATH", "/usr/bin:/bin")], directory: "/")
    command.sandbox = bubblewrap.commandLine(for: Bubblewrap.Profile())
    command.timeout = Seconds(10)
    command.timeoutGrace = Seconds(0)
    command.label = "sandbox-probe"
    do {
      let process = try await SupervisedProcess.start(command, executable: executable)
      async let ignored: Void = Self.drain(process.stdout)
      var said: [UInt8] = []
      for try await chunk in process.stderr where said.count < 1024 { said += chunk.readableBytesView }
      try await ignored
      let end = await process.end
      if end.outcome == .exited(code: 0) { return nil }
      let text = String(decoding: said.prefix(512), as: UTF8.self).split(separator: "\n").joined(separator: "; ")
      return "\(bubblewrap.program) does not work here (\(text.isEmpty ? "\(end.outcome)" : text))"
    } catch {
      return "\(bubblewrap.program) could not be tried: \(error)"
    }
  }

  private static func drain(_ pipe: PipeReader) async throws {
    for try await _ in pipe {}
  }
}
