import Glibc
import Marketplace
import MarketplaceClient

/// Finds the files that `--input` means, and where they go in the job's working directory.
///
/// `train.py` goes to `train.py`; `data/points.csv` keeps its path; a path from the root or upwards goes to its last
/// name; a folder goes with all below it; `path:target` names the place.
struct InputCollector {
  /// Files in all, the coordinator's limit.
  static let maximumFiles = 1_000
  /// Folders within folders.
  static let maximumDepth = 64

  struct Found: Hashable {
    let source: String
    let target: String
    let isExecutable: Bool
  }

  let context: CommandContext
  private(set) var found: [Found] = []

  init(_ context: CommandContext) { self.context = context }

  mutating func add(_ argument: String) throws {
    let (path, target) = split(argument)
    try collect(context.resolve(path), named: path, target: target, depth: 0)
    var seen: [String: String] = [:]
    for file in found {
      if let other = seen.updateValue(file.source, forKey: file.target) {
        throw CommandFailure(
          .usage, "--input: \(other) and \(file.source) would both become \(file.target)",
          hint: "name the place: --input PATH:TARGET")
      }
    }
  }

  /// A colon that is part of a file's name is no separator.
  private func split(_ argument: String) -> (path: String, target: String) {
    if let colon = argument.lastIndex(of: ":"), colon != argument.startIndex,
      !SmallFile.exists(context.resolve(argument))
    {
      let target = String(argument[argument.index(after: colon)...])
      if !target.isEmpty { return (String(argument[..<colon]), Self.trimmed(target)) }
    }
    return (argument, Self.target(of: argument))
  }

  /// Where a path goes that names no place itself.
  static func target(of path: String) -> String {
    var parts = path.split(separator: "/").map(String.init)
    parts.removeAll { $0 == "." }
    if path.hasPrefix("/") || parts.contains("..") { return parts.last.map { $0 == ".." ? "" : $0 } ?? "" }
    return parts.joined(separator: "/")
  }

  private static func trimmed(_ target: String) -> String {
    target.split(separator: "/", omittingEmptySubsequences: target.hasPrefix("/") ? false : true).joined(separator: "/")
  }

  private mutating func collect(_ source: String, named name: String, target: String, depth: Int) throws {
    let status: FileStatus
    switch FileStatus.of(source) {
    case .success(let found): status = found
    case .failure(let error):
      let link = FileStatus.isLink(source) ? "a link whose target can't be read: " : ""
      throw CommandFailure(.usage, "--input \(name): \(link)\(describe(error.code))")
    }
    switch status.kind {
    case .file:
      guard !target.isEmpty else { throw CommandFailure(.usage, "--input \(name): has no name to go by") }
      guard found.count < Self.maximumFiles else {
        throw CommandFailure(
          .usage, "--input: more than \(Self.maximumFiles) files", hint: "pack them into one archive")
      }
      found.append(Found(source: source, target: target, isExecutable: status.isExecutable))
    case .folder:
      guard depth < Self.maximumDepth else {
        throw CommandFailure(
          .usage, "--input \(name): folders more than \(Self.maximumDepth) deep; does a link lead back?")
      }
      for entry in try Self.entries(source) {
        try collect(
          source + "/" + entry, named: name + "/" + entry, target: target.isEmpty ? entry : target + "/" + entry,
          depth: depth + 1)
      }
    case .other: throw CommandFailure(.usage, "--input \(name): is neither a file nor a folder")
    }
  }

  /// The names in a folder, sorted, so that the same folder is the same job.
  private static func entries(_ path: String) throws -> [String] {
    guard let folder = opendir(path) else { throw CommandFailure(.usage, "--input \(path): \(describe(errno))") }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != ".", name != ".." { names.append(name) }
      guard names.count <= maximumFiles else {
        throw CommandFailure(.usage, "--input \(path): more than \(maximumFiles) entries")
      }
    }
    return names.sorted()
  }

  private static func describe(_ code: Int32) -> String { String(cString: strerror(code)) }
  private func describe(_ code: Int32) -> String { Self.describe(code) }
}
