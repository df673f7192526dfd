import Cryptography
import Testing

/// Vectors: FIPS 180-4 examples (NIST CSRC) and RFC 6455 §1.3.
struct DigestTests {
  static let sha256Vectors: [(message: String, hex: String)] = [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
    ),
  ]

  @Test(arguments: sha256Vectors)
  func sha256Vector(message: String, hex: String) {
    #expect(SHA256.hash(message.utf8).hex == hex)
    let bytewise = SHA256()
    for byte in message.utf8 { bytewise.update(CollectionOfOne(byte)) }
    #expect(bytewise.finalize().hex == hex)
  }

  @Test func sha256OfAMillionLetters() {
    let expected = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    #expect(SHA256.hash(repeatElement(UInt8(ascii: "a"), count: 1_000_000)).hex == expected)
    #expect(SHA256.hash([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)).hex == expected)
    let hasher = SHA256()
    for _ in 0..<1000 { [UInt8](repeating: UInt8(ascii: "a"), count: 1000).withUnsafeBytes { hasher.update($0) } }
    #expect(hasher.finalize().hex == expected)
  }

  @Test func finalizeStartsAnew() {
    let hasher = SHA256()
    hasher.update("abc".utf8)
    let first = hasher.finalize()
    #expect(hasher.finalize() == SHA256.hash([]))
    hasher.update("abc".utf8)
    #expect(hasher.finalize() == first)
  }

  @Test func digestSoFarChangesNothing() {
    let hasher = SHA256()
    hasher.update("ab".utf8)
    #expect(hasher.digestSoFar() == SHA256.hash("ab".utf8))
    hasher.update("c".utf8)
    #expect(hasher.finalize() == SHA256.hash("abc".utf8))
  }

  @Test func sequencesWithoutContiguousStorageAreHashedWhole() {
    for count in [0, 1, 4095, 4096, 4097, 10_000] {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
      #expect(SHA256.hash(bytes.lazy.map { $0 }) == SHA256.hash(bytes), "count \(count)")
    }
  }

  @Test func sha1Vectors() {
    #expect(Hex.encode(SHA1.hash("abc".utf8)) == "a9993e364706816aba3e25717850c26c9cd0d89d")
    let accept = SHA1.hash("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)
    #expect(Base64.encode(accept) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
  }

  @Test func digestTextForms() throws {
    let digest = SHA256.hash("abc".utf8)
    #expect(digest.bytes.count == 32)
    #expect(digest.bytes.first == 0xBA && digest.bytes.last == 0xAD)
    #expect(SHA256Digest(bytes: digest.bytes) == digest)
    #expect(SHA256Digest(hex: digest.hex) == digest)
    #expect(SHA256Digest(hex: digest.hex.uppercased()) == digest)
    #expect(digest.base64 == "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")
    #expect("\(digest)" == digest.hex)
    #expect(SHA256Digest(bytes: digest.bytes.dropLast()) == nil)
    #expect(SHA256Digest(bytes: digest.bytes + [0]) == nil)
    let hex = digest.hex
    for bad in ["", "0", hex + "0", hex + "00", String(hex.dropLast()), "g" + hex.dropFirst()] {
      #expect(SHA256Digest(hex: bad) == nil, "\(bad)")
    }
  }

  @Test func everyBitCountsInEquality() throws {
    let digest = SHA256.hash([])
    for bit in 0..<256 {
      var bytes = digest.bytes
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(SHA256Digest(bytes: bytes) != digest)
    }
  }

  @Test func startUpCheckPasses() throws { try checkCryptography() }
}
