import Cryptography
import Foundation
import JSON
import Marketplace
import Testing

@testable import Coordinator

struct SigningKeysTests {
  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "signing-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  private func listed(_ keys: SigningKeys) -> [String] {
    (keys.published["keys"]?.array ?? []).compactMap { $0["key_id"]?.string }
  }

  @Test func theFirstStartMakesOneAndItStays() throws {
    try withFolder { folder in
      let first = try SigningKeys(directory: folder)
      let id = first.active.publicKey.id
      #expect(listed(first) == [id])
      #expect(try SigningKeys(directory: folder).active.publicKey.id == id)
    }
  }

  /// A running coordinator takes the new key at once; the old ones stay listed, with the end of their time.
  @Test func rotation() throws {
    try withFolder { folder in
      let running = try SigningKeys(directory: folder)
      let first = running.active.publicKey.id
      let noon = try #require(Timestamp(rfc3339: "2026-03-01T12:00:00.000Z"))
      let one = try SigningKeys.rotate(directory: folder, now: noon)
      #expect(one.old == first && running.active.publicKey.id == one.new)
      let two = try SigningKeys.rotate(directory: folder, now: noon + Seconds(60))
      #expect(two.old == one.new)
      #expect(listed(running) == [two.new, one.new, first])
      let entries = running.published["keys"]?.array ?? []
      #expect(entries.map { $0["active"]?.bool } == [true, false, false])
      #expect(entries[2]["valid_until"]?.string == "2026-03-01T12:00:00.000Z")
      #expect(entries[2]["valid_until_unix"]?.integer == noon.milliseconds / 1000)
      #expect(entries[0]["valid_until"] == nil)
      #expect(listed(try SigningKeys(directory: folder)) == [two.new, one.new, first])
    }
  }

  /// Cut off between the list and the key: the old key goes on, listed once.
  @Test func aRotationThatWasCutOff() throws {
    try withFolder { folder in
      let before = try SigningKeys(directory: folder)
      let key = try String(contentsOfFile: folder + "/signing.pem", encoding: .utf8)
      _ = try SigningKeys.rotate(directory: folder, now: Timestamp(milliseconds: 0))
      try FileManager.default.removeItem(atPath: folder + "/signing.pem")
      try Ed25519PrivateKey(pem: key).store(to: folder + "/signing.pem")
      let after = try SigningKeys(directory: folder)
      #expect(listed(after) == [before.active.publicKey.id])
      let again = try SigningKeys.rotate(directory: folder, now: Timestamp(milliseconds: 1))
      #expect(listed(after) == [again.new, again.old])
    }
  }

  @Test func aDamagedListIsNotOverlooked() throws {
    try withFolder { folder in
      _ = try SigningKeys(directory: folder)
      try #"{"keys":[{"key_id":"short"}]}"#.write(
        toFile: folder + "/retired-keys.json", atomically: true, encoding: .utf8)
      #expect(throws: StartError.self) { try SigningKeys(directory: folder) }
    }
  }
}
