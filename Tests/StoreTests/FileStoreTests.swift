import Cryptography
import Glibc
import Marketplace
import Testing
import TestRandomness

@testable import Store

@Suite struct FileStoreTests {
  private struct World {
    let folder: TemporaryFolder
    let files: FileStore
    let maker = Maker()
    let job: JobID

    init() throws {
      folder = try TemporaryFolder()
      files = try FileStore(directory: folder.path + "/data")
      job = maker.id()
    }

    /// What a new process sees.
    func reopened() throws -> FileStore { try FileStore(directory: folder.path + "/data") }
  }

  private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  // MARK: Logs

  @Test func logChunksAreTakenOnceAndInOrder() throws {
    let world = try World()
    let log = try world.files.openLog(world.job, tryNumber: 1, stream: .stdout)
    #expect(try log.append(Self.bytes("hello"), at: 0) == .appended(length: 5))
    #expect(try log.append(Self.bytes("hello"), at: 0) == .duplicate(length: 5))
    #expect(try log.append(Self.bytes("llo"), at: 2) == .duplicate(length: 5))
    #expect(try log.append([], at: 5) == .duplicate(length: 5))
    #expect(try log.append(Self.bytes("x"), at: 6) == .gap(expected: 5))
    #expect(try log.append(Self.bytes("x"), at: -1) == .gap(expected: 5))
    #expect(try log.append(Self.bytes("lo world"), at: 3) == .appended(length: 11))
    #expect(try log.append(Self.bytes("!"), at: 11) == .appended(length: 12))
    #expect(log.record == LogRecord(length: 12, sha256: SHA256.hash("hello world!".utf8).hex))
    #expect(try log.read(offset: 0, count: 100) == Self.bytes("hello world!"))
    try log.sync()
  }

  @Test func aLogGoesOnAfterARestart() throws {
    let world = try World()
    do {
      let log = try world.files.openLog(world.job, tryNumber: 1, stream: .stderr)
      #expect(try log.append(Self.bytes("abc"), at: 0) == .appended(length: 3))
    }
    let log = try world.reopened().openLog(world.job, tryNumber: 1, stream: .stderr)
    #expect(log.length == 3)
    #expect(log.digest == SHA256.hash("abc".utf8))
    #expect(try log.append(Self.bytes("bcd"), at: 1) == .appended(length: 4))
    #expect(log.digest == SHA256.hash("abcd".utf8))
  }

  @Test func rangesOfLogs() throws {
    let world = try World()
    let log = try world.files.openLog(world.job, tryNumber: 2, stream: .stdout)
    _ = try log.append(Self.bytes("0123456789"), at: 0)
    let file = try world.files.readLog(world.job, tryNumber: 2, stream: .stdout)
    #expect(try file.size() == 10)
    for (offset, count, text) in [
      (0, 3, "012"), (7, 3, "789"), (7, 4, "789"), (10, 1, ""), (11, 1, ""), (-1, 5, ""), (3, 0, ""), (3, -1, ""),
      (0, Int.max, "0123456789"),
    ] {
      #expect(try file.read(offset: Int64(offset), count: count) == Self.bytes(text), "\(offset) \(count)")
    }
    // Readers follow a log that grows.
    _ = try log.append(Self.bytes("X"), at: 10)
    #expect(try file.read(offset: 9, count: 10) == Self.bytes("9X"))
    #expect(throws: FileStoreError.notFound) { try world.files.readLog(world.job, tryNumber: 3, stream: .stdout) }
  }

  @Test func randomChunksGiveTheSameLog() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededGenerator(seed: seed)
    let world = try World()
    let text = (0..<5_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
    var log = try world.files.openLog(world.job, tryNumber: 1, stream: .stdout)
    var known = 0
    while known < text.count {
      let offset = Int.random(in: max(0, known - 300)...min(text.count, known + 20), using: &generator)
      let end = min(text.count, offset + Int.random(in: 0...200, using: &generator))
      let result = try log.append(Array(text[offset..<end]), at: Int64(offset))
      if offset > known {
        #expect(result == .gap(expected: Int64(known)), "seed \(seed)")
      } else if end <= known {
        #expect(result == .duplicate(length: Int64(known)), "seed \(seed)")
      } else {
        known = end
        #expect(result == .appended(length: Int64(known)), "seed \(seed)")
      }
      if Int.random(in: 0..<20, using: &generator) == 0 {
        log = try world.files.openLog(world.job, tryNumber: 1, stream: .stdout)
      }
    }
    #expect(log.digest == SHA256.hash(text), "seed \(seed)")
    #expect(try log.read(offset: 0, count: 10_000) == text, "seed \(seed)")
  }

  // MARK: Uploads

  @Test func anUploadIsResumedAndAppearsWhole() throws {
    let world = try World()
    let digest = SHA256.hash("abcdef".utf8)
    let account: AccountID = world.maker.id()
    do {
      let upload = try world.files.openBlobUpload(digest, account: account)
      try upload.append(Self.bytes("abc"), at: 0)
      #expect(throws: FileStoreError.busy) { try world.files.openBlobUpload(digest, account: account) }
      #expect(throws: FileStoreError.wrongOffset(expected: 3)) { try upload.append(Self.bytes("abc"), at: 0) }
      #expect(throws: FileStoreError.wrongOffset(expected: 3)) { try upload.append(Self.bytes("x"), at: 4) }
      #expect(throws: FileStoreError.notFound) { try world.files.readBlob(digest) }
      // Somebody else's upload of the same blob knows nothing of it.
      #expect(try world.files.openBlobUpload(digest, account: world.maker.id()).length == 0)
    }
    let files = try world.reopened()
    let upload = try files.openBlobUpload(digest, account: account)
    #expect(upload.length == 3)
    try upload.append(Self.bytes("def"), at: 3)
    #expect(throws: FileStoreError.notFound) { try files.readBlob(digest) }
    try upload.finish(expectedSize: 6, expectedSHA256: digest)
    #expect(try files.readBlob(digest).read(offset: 0, count: 9) == Self.bytes("abcdef"))
    #expect(throws: FileStoreError.self) { try upload.append(Self.bytes("x"), at: 6) }
    #expect(throws: FileStoreError.self) { try upload.finish(expectedSize: 6, expectedSHA256: digest) }
    // Its place is free again, and the partial file is gone.
    #expect(try files.openBlobUpload(digest, account: account).length == 0)
    try files.removeBlob(digest)
    try files.removeBlob(digest)
    #expect(throws: FileStoreError.notFound) { try files.readBlob(digest) }
  }

  /// The hash of what is here is kept from one connection to the next; a length that does not fit it is hashed anew.
  @Test func anUploadThatIsClosedAgainAndAgainComesOutRight() throws {
    let world = try World()
    let account: AccountID = world.maker.id()
    let text = String(repeating: "0123456789", count: 20)
    let digest = SHA256.hash(text.utf8)
    for (offset, byte) in text.utf8.enumerated() {
      #expect(try world.files.blobUploadLength(digest, account: account) == Int64(offset))
      let upload = try world.files.openBlobUpload(digest, account: account)
      #expect(upload.length == Int64(offset))
      #expect(throws: FileStoreError.busy) { try world.files.blobUploadLength(digest, account: account) }
      try upload.append([byte], at: Int64(offset))
      upload.close()
    }
    // Another process shortened it.
    let name = try #require(try FileTree.names(in: world.files.directory + "/uploads").first)
    #expect(truncate(world.files.directory + "/uploads/" + name, 150) == 0)
    let upload = try world.files.openBlobUpload(digest, account: account)
    #expect(upload.length == 150)
    try upload.append(Array(text.utf8.dropFirst(150)), at: 150)
    try upload.finish(expectedSize: 200, expectedSHA256: digest)
    #expect(try world.files.readBlob(digest).read(offset: 0, count: 300) == Array(text.utf8))
  }

  @Test(arguments: [("abcdeX", Int64(6)), ("abcdef", 5), ("abcdef", 7), ("", 0), ("abcde", 6)])
  func whatDoesNotMatchIsRemoved(_ text: String, _ size: Int64) throws {
    let world = try World()
    let digest = SHA256.hash("abcdef".utf8)
    let upload = try world.files.openArtifactUpload(world.job, tryNumber: 1, path: "../../etc/passwd", digest: digest)
    try upload.append(Self.bytes(text), at: 0)
    let expected = FileStoreError.mismatch(
      expectedSize: size, expectedSHA256: digest.hex, foundSize: Int64(text.utf8.count),
      foundSHA256: SHA256.hash(text.utf8).hex)
    #expect(throws: expected) { try upload.finish(expectedSize: size, expectedSHA256: digest) }
    #expect(throws: FileStoreError.notFound) {
      try world.files.readArtifact(world.job, tryNumber: 1, digest: digest)
    }
    let again = try world.files.openArtifactUpload(world.job, tryNumber: 1, path: "../../etc/passwd", digest: digest)
    #expect(again.length == 0)
  }

  @Test func idleUploadsAreRemoved() throws {
    let world = try World()
    let account: AccountID = world.maker.id()
    let open = try world.files.openBlobUpload(SHA256.hash("a".utf8), account: account)
    try world.files.openBlobUpload(SHA256.hash("b".utf8), account: account).append([1], at: 0)
    #expect(try world.files.removeUploads(idleSince: Timestamp(milliseconds: 0)) == 0)
    // Only the one that nobody has open.
    #expect(try world.files.removeUploads(idleSince: Timestamp(milliseconds: .max)) == 1)
    try open.append([1], at: 0)
    open.close()
    #expect(try world.files.removeUploads(idleSince: Timestamp(milliseconds: .max)) == 1)
  }

  // MARK: Packages and jobs

  @Test func aPackageIsThereWholeOrNotAtAll() throws {
    let world = try World()
    #expect(throws: Refused()) {
      try world.files.writePackage(world.job) { descriptor in
        _ = write(descriptor, "half", 4)
        throw Refused()
      }
    }
    #expect(throws: FileStoreError.notFound) { try world.files.readPackage(world.job) }
    #expect(try FileTree.names(in: world.files.directory + "/tmp").isEmpty)
    try world.files.writePackage(world.job) { _ = write($0, "first", 5) }
    let old = try world.files.readPackage(world.job)
    try world.files.writePackage(world.job) { _ = write($0, "second", 6) }
    #expect(try world.files.readPackage(world.job).read(offset: 0, count: 9) == Self.bytes("second"))
    // A download that has begun ends with what it began with.
    #expect(try old.read(offset: 0, count: 9) == Self.bytes("first"))
  }

  @Test func aStretchIsBroughtIntoTheCache() throws {
    let world = try World()
    let bytes = (0..<20_000).map { UInt8(truncatingIfNeeded: $0) }
    try world.files.writePackage(world.job) { _ = write($0, bytes, bytes.count) }
    let file = try world.files.readPackage(world.job)
    for (offset, count) in [(0, 20_000), (0, 0), (20_000, 0), (4_095, 2), (4_096, 4_096), (19_999, 1), (1, 12_345)] {
      #expect(try file.load(offset: Int64(offset), count: count), "\(offset) \(count)")
    }
    for (offset, count) in [(0, 20_001), (20_000, 1), (19_999, 2), (-1, 1), (0, -1), (1 << 40, 1)] {
      #expect(try !file.load(offset: Int64(offset), count: count), "\(offset) \(count)")
    }
  }

  @Test func leftoversInTmpAreGoneAtTheNextStart() throws {
    let world = try World()
    let path = world.files.temporaryPath()
    close(try POSIXFile.open(path, O_RDWR | O_CREAT))
    #expect(access(path, F_OK) == 0)
    _ = try world.reopened()
    #expect(access(path, F_OK) != 0)
  }

  @Test func removingAJobsFilesLeavesOthersAlone() throws {
    let world = try World()
    let other: JobID = world.maker.id()
    let digest = SHA256.hash("x".utf8)
    for job in [world.job, other] {
      _ = try world.files.openLog(job, tryNumber: 1, stream: .stdout).append(Self.bytes("log"), at: 0)
      let upload = try world.files.openArtifactUpload(job, tryNumber: 1, path: "p", digest: digest)
      try upload.append(Self.bytes("x"), at: 0)
      try upload.finish(expectedSize: 1, expectedSHA256: digest)
      try world.files.openArtifactUpload(job, tryNumber: 1, path: "q", digest: digest).append(Self.bytes("x"), at: 0)
      try world.files.writePackage(job) { _ = write($0, "zip", 3) }
    }
    #expect(try world.files.bytes(of: world.job) == 7)
    for _ in 0..<2 {
      try world.files.removeFiles(of: world.job)
      #expect(try world.files.bytes(of: world.job) == 0)
    }
    #expect(throws: FileStoreError.notFound) { try world.files.readPackage(world.job) }
    #expect(try world.files.openArtifactUpload(world.job, tryNumber: 1, path: "q", digest: digest).length == 0)
    #expect(try world.files.bytes(of: other) == 7)
    #expect(try world.files.openArtifactUpload(other, tryNumber: 1, path: "q", digest: digest).length == 1)
    #expect(try world.files.freeBytes() > 0)
  }

  @Test func linksAreRemovedAndNeverFollowed() throws {
    let world = try World()
    let outside = world.folder.path + "/outside"
    try POSIXFile.makeDirectories(outside + "/kept")
    try POSIXFile.makeDirectories(world.files.directory + "/logs/" + world.job.rawValue)
    #expect(symlink(outside, world.files.directory + "/logs/" + world.job.rawValue + "/1.stdout") == 0)
    try world.files.removeFiles(of: world.job)
    #expect(POSIXFile.isDirectory(outside + "/kept"))
  }

  /// Writes to this device fail as on a full disk.
  @Test func aFailedAppendChangesNothing() throws {
    let full = "/dev/full"
    let log = try LogFile(path: full)
    #expect(throws: FileStoreError.diskFull) { try log.append(Self.bytes("x"), at: 0) }
    #expect(log.length == 0)
    #expect(log.digest == SHA256.hash([UInt8]()))
  }
}
