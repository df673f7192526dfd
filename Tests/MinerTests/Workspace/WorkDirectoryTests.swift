import CSupervisor
import Clocks
import Foundation
import ResultPackage
import Testing

@testable import Miner

@Suite("The miner's folder")
struct WorkDirectoryTests {
  /// Waits for the lock as a miner does.
  private func open(_ path: String) async throws -> WorkDirectory { try await .open(path, clock: SystemClock()) }

  @Test func `a job's folder has all that the contract names, and goes away whole`() throws {
    let folder = try TemporaryFolder()
    let job = try JobDirectory.create(at: folder.path + "/j")
    for path in [job.work, job.output, job.temporary] { #expect(FilePathFacts.isDirectory(path)) }
    var status = stat()
    #expect(stat(job.progress, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
    #expect(stat(job.path, &status) == 0 && status.st_mode & 0o777 == 0o700)
    #expect(throws: FileError.self) { try JobDirectory.create(at: job.path) }
    // The failed attempt must not have removed somebody's folder.
    #expect(FilePathFacts.isDirectory(job.work))
    try job.remove()
    try job.remove()
    #expect(access(job.path, F_OK) == -1)
  }

  @Test func `removal follows no link and minds no depth, modes or odd names`() throws {
    let folder = try TemporaryFolder()
    let outside = folder.path + "/outside"
    try FileManager.default.createDirectory(atPath: outside + "/deep", withIntermediateDirectories: true)
    try Data("keep".utf8).write(to: URL(filePath: outside + "/deep/file"))
    let job = try JobDirectory.create(at: folder.path + "/j")
    symlink(outside, job.work + "/link")
    symlink("/", job.work + "/root")
    for name in ["a\nb", "-rf", " ", "\u{1F600}"] { mkdir(job.work + "/" + name, 0) }
    var descriptor = try Descriptor(opening: job.work, O_RDONLY | O_DIRECTORY)
    for _ in 0..<400 {
      mkdirat(descriptor.raw, "level", 0o700)
      descriptor = Descriptor(owning: openat(descriptor.raw, "level", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    }
    for index in 0..<300 { close(openat(descriptor.raw, "f\(index)", O_CREAT | O_WRONLY | O_CLOEXEC, 0o400)) }
    try job.remove()
    #expect(access(job.path, F_OK) == -1)
    #expect(try String(contentsOfFile: outside + "/deep/file", encoding: .utf8) == "keep")
  }

  @Test func `two miners don't share a folder, one after the other may and is the same miner`() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/miner"
    var first: WorkDirectory? = try await open(path)
    let instance = try #require(first?.instance)
    #expect(instance.utf8.count >= 32)
    await #expect(throws: WorkDirectoryInUse.self) { try await open(path) }
    first = nil
    #expect(try await open(path).instance == instance)
    let mode = try FileManager.default.attributesOfItem(atPath: path + "/instance")[.posixPermissions] as? Int
    #expect(mode == 0o600)
  }

  @Test func `a damaged identity is replaced`() async throws {
    let folder = try TemporaryFolder()
    try Data("short".utf8).write(to: URL(filePath: folder.path + "/instance"))
    #expect(try await open(folder.path).instance.utf8.count >= 32)
  }

  @Test func `what a killed miner left is ended and removed, other processes are not touched`() async throws {
    let zoo = try Zoo.program
    let folder = try TemporaryFolder()
    var miner: WorkDirectory? = try await open(folder.path)
    let job = try #require(try miner?.makeJobDirectory("job.1"))
    let mine = "\(SupervisedCommand.markerName)=\(job.marker)"
    // The same text as the end of another value, and another value: not ours.
    let other = "\(SupervisedCommand.markerName)=x\(job.marker)"
    let leftover = try startTool([zoo, "ignore-term"], environment: [mine])
    let stranger = try startTool([zoo, "ignore-term"], environment: [other, "X\(mine)"])
    defer {
      kill(leftover, SIGKILL)
      kill(stranger, SIGKILL)
      waitpid(stranger, nil, 0)
    }
    try Data("junk".utf8).write(to: URL(filePath: folder.path + "/jobs/not-a-job"))
    miner = nil
    _ = try await open(folder.path)
    var status: Int32 = 0
    #expect(waitpid(leftover, &status, 0) == leftover && status & 0x7F == SIGKILL)
    #expect(kill(stranger, 0) == 0 && aitbc_count_marked(other) == 1)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/jobs").isEmpty)
  }

  @Test(arguments: ["", "short", "has space in the marker", "../../../../etc", "marker\nwith newline....."])
  func `a marker that we did not write kills nobody`(marker: String) async throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.path + "/jobs/j", withIntermediateDirectories: true)
    try Data(marker.utf8).write(to: URL(filePath: folder.path + "/jobs/j/marker"))
    let stranger = try startTool(
      [try Zoo.program, "sleep"], environment: ["\(SupervisedCommand.markerName)=\(marker)"])
    defer {
      kill(stranger, SIGKILL)
      waitpid(stranger, nil, 0)
    }
    _ = try await open(folder.path)
    #expect(waitpid(stranger, nil, WNOHANG) == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/jobs").isEmpty)
  }
}
