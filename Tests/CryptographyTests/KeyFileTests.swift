import Cryptography
import Foundation
import Testing

struct KeyFileTests {
  /// A temporary folder, removed afterwards.
  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "keys-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
  }

  private func mode(_ path: String) throws -> Int {
    try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
  }

  @Test func storedKeyIsPrivateAndLoads() throws {
    try withFolder { folder in
      let path = folder + "/signing.key"
      let key = try Ed25519PrivateKey.generate()
      try key.store(to: path)
      #expect(try mode(path) == 0o600)
      #expect(try Ed25519PrivateKey.load(from: path).publicKey == key.publicKey)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["signing.key"])
    }
  }

  @Test func existingFileIsKeptUnlessReplacing() throws {
    try withFolder { folder in
      let path = folder + "/signing.key"
      let first = try Ed25519PrivateKey.generate()
      let second = try Ed25519PrivateKey.generate()
      try first.store(to: path)
      #expect(throws: CryptographyError.file(path: path, operation: "link", code: EEXIST)) {
        try second.store(to: path)
      }
      #expect(try Ed25519PrivateKey.load(from: path).publicKey == first.publicKey)
      try second.store(to: path, replacing: true)
      #expect(try Ed25519PrivateKey.load(from: path).publicKey == second.publicKey)
      #expect(try mode(path) == 0o600)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["signing.key"])
    }
  }

  @Test func rawFileLoads() throws {
    try withFolder { folder in
      let path = folder + "/raw.key"
      let key = try Ed25519PrivateKey.generate()
      let bytes = try key.rawBytes()
      #expect(
        FileManager.default.createFile(
          atPath: path, contents: Data(bytes), attributes: [.posixPermissions: 0o600]))
      #expect(try Ed25519PrivateKey.load(from: path).publicKey == key.publicKey)
    }
  }

  @Test(arguments: [0o640, 0o604, 0o660, 0o601])
  func readableByOthersIsRefused(mode: Int) throws {
    try withFolder { folder in
      let path = folder + "/signing.key"
      try Ed25519PrivateKey.generate().store(to: path)
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
      #expect(throws: CryptographyError.insecurePermissions(path: path, mode: UInt32(mode))) {
        try Ed25519PrivateKey.load(from: path)
      }
    }
  }

  @Test func strangeFilesAreRefused() throws {
    try withFolder { folder in
      #expect(throws: CryptographyError.file(path: folder + "/none", operation: "open", code: ENOENT)) {
        try Ed25519PrivateKey.load(from: folder + "/none")
      }
      #expect(throws: CryptographyError.invalidKey(reason: "\(folder) is no regular file")) {
        try Ed25519PrivateKey.load(from: folder)
      }
      let pipe = folder + "/pipe"
      #expect(mkfifo(pipe, 0o600) == 0)
      #expect(throws: CryptographyError.invalidKey(reason: "\(pipe) is no regular file")) {
        try Ed25519PrivateKey.load(from: pipe)
      }
      let key = try Ed25519PrivateKey.generate()
      // At the limit of 4 KiB and one past it.
      let pem = try key.pem()
      for (size, fits) in [(4096, true), (4097, false)] {
        let path = folder + "/padded-\(size)"
        let padded = pem + String(repeating: "\n", count: size - pem.utf8.count)
        #expect(
          FileManager.default.createFile(
            atPath: path, contents: Data(padded.utf8), attributes: [.posixPermissions: 0o600]))
        #expect((try? Ed25519PrivateKey.load(from: path).publicKey) == (fits ? key.publicKey : nil))
      }
      #expect(throws: CryptographyError.file(path: folder + "/no/k", operation: "open", code: ENOENT)) {
        try key.store(to: folder + "/no/k")
      }
    }
  }

  @Test func firstStartersAgree() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "keys-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.path + "/signing.key"
    let keys = try await withThrowingTaskGroup(of: Ed25519PublicKey.self) { group in
      for _ in 0..<16 { group.addTask { try Ed25519PrivateKey.loadOrCreate(at: path).publicKey } }
      return try await group.reduce(into: Set<Ed25519PublicKey>()) { $0.insert($1) }
    }
    #expect(keys.count == 1)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["signing.key"])
  }

  @Test func errorsNameTheFile() throws {
    let missing = CryptographyError.file(path: "/k", operation: "open", code: ENOENT)
    #expect("\(missing)" == "/k: open: No such file or directory")
    #expect("\(CryptographyError.insecurePermissions(path: "/k", mode: 0o644))".contains("644"))
  }
}
