import Cryptography

/// A hasher that lies behind a lock together with the file it hashes.
///
/// `@unchecked Sendable`: `SHA256` is a reference without a lock of its own; ``LogFile`` and ``UploadFile`` touch it
/// only while they hold theirs.
struct LockedHasher: @unchecked Sendable {
  private let hasher: SHA256

  init(_ hasher: sending SHA256) { self.hasher = hasher }

  func update(_ bytes: UnsafeRawBufferPointer) { hasher.update(bytes) }
  var digestSoFar: SHA256Digest { hasher.digestSoFar() }
}
