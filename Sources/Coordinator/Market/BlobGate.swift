import Synchronization

/// Keeps the removal of a blob's file and the uploads of the same blob apart: a file must not go between the moment an
/// upload gives it its name and the moment its row is written.
final class BlobGate: Sendable {
  /// Uploads under way by digest; -1 while the blob is being removed.
  private let users = Mutex<[String: Int]>([:])

  /// Admits one upload beside others. False while the blob is being removed.
  func enter(_ sha256: String) -> Bool {
    users.withLock { users in
      let count = users[sha256] ?? 0
      guard count >= 0 else { return false }
      users[sha256] = count + 1
      return true
    }
  }

  func leave(_ sha256: String) {
    users.withLock { users in
      let rest = (users[sha256] ?? 0) - 1
      users[sha256] = rest > 0 ? rest : nil
    }
  }

  /// Admits the removal, alone. False while anybody uploads the blob.
  func close(_ sha256: String) -> Bool {
    users.withLock { users in
      guard users[sha256] == nil else { return false }
      users[sha256] = -1
      return true
    }
  }

  func open(_ sha256: String) { users.withLock { users in users[sha256] = nil } }
}
