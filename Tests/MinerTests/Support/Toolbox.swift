import CSupervisor
import Foundation
import Synchronization
import Testing

@testable import Miner

/// A temporary folder that goes away with its last reference.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    var template = Array((NSTemporaryDirectory() + "/aitbc-miner-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress.unsafelyUnwrapped) }
  }

  deinit { _ = aitbc_remove_tree(path) }
}

/// Runs a program to its end and gives its exit code; for what the tests need done, not for what they test.
func runTool(_ arguments: [String]) -> Int32 {
  var pid: pid_t = 0
  let words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
  defer { for word in words { free(word) } }
  guard posix_spawnp(&pid, arguments[0], nil, nil, words, environ) == 0 else { return -1 }
  var status: Int32 = 0
  while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
  return status & 0x7f == 0 ? status >> 8 & 0xff : -1
}

/// The compiled zoo, made once a run and removed when the test process exits.
enum Zoo {
  struct CompilerMissing: Error {}

  static var program: String { get throws { try built.get() } }

  private static let built: Result<String, any Error> = Result {
    let folder = try TemporaryFolder()
    keptUntilExit.withLock { $0.append(folder) }
    atexit { keptUntilExit.withLock { $0.removeAll() } }
    let source = folder.path + "/zoo.c"
    try zooSource.write(toFile: source, atomically: true, encoding: .utf8)
    let sources = URL(filePath: #filePath).appending(path: "../../../../Sources/CSupervisor").standardizedFileURL.path
    let files = try FileManager.default.contentsOfDirectory(atPath: sources).filter { $0.hasSuffix(".c") }
    let arguments =
      ["-std=gnu17", "-O1", "-pthread", "-I", sources + "/include", "-o", folder.path + "/zoo", source]
      + files.sorted().map { sources + "/" + $0 }
    for compiler in ["cc", "clang", "gcc"] where runTool([compiler] + arguments) == 0 { return folder.path + "/zoo" }
    throw CompilerMissing()
  }

  private static let keptUntilExit = Mutex<[TemporaryFolder]>([])
}

/// What a payload is run in.
enum Flavour: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case bare
  /// Bare, in a control group of its own.
  case group
  case bubblewrap

  var testDescription: String { rawValue }

  /// Those that this machine can do.
  static let available: [Flavour] =
    [.bare] + (groups == nil ? [] : [.group])
    + (runTool(["bwrap", "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "true"]) == 0 ? [.bubblewrap] : [])

  /// The test process's own control groups; nil where this machine gives none.
  static let groups: ControlGroups? = {
    let groups = try? ControlGroups.open(name: "zoo-\(getpid())")
    if groups != nil { atexit { Flavour.groups?.close() } }
    return groups
  }()
}

/// The two ends of a pipe, by number: (reading, writing). Whoever calls closes them.
func makePipe() throws -> (Int32, Int32) {
  var ends: [Int32] = [-1, -1]
  guard aitbc_pipe(&ends) == 0 else { throw POSIXError(.EMFILE) }
  return (ends[0], ends[1])
}

/// C strings for `posix_spawn`, freed when this goes away.
final class CStrings {
  let pointers: [UnsafeMutablePointer<CChar>?]

  init(_ texts: [String]) { pointers = texts.map { strdup($0) } + [nil] }

  deinit { for pointer in pointers { free(pointer) } }
}

/// Starts a program without waiting for it. Its stdout goes to `output`, or nowhere.
func startTool(_ arguments: [String], environment: [String], output: Int32? = nil) throws -> pid_t {
  let words = CStrings(arguments)
  let entries = CStrings(environment)
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  if let output {
    posix_spawn_file_actions_adddup2(&actions, output, 1)
  } else {
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
  }
  var pid: pid_t = 0
  let code = posix_spawn(&pid, arguments[0], &actions, nil, words.pointers, entries.pointers)
  guard code == 0 else { throw POSIXError(.init(rawValue: code) ?? .EIO) }
  return pid
}
