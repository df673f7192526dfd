import Cryptography
import Testing

/// One test of RFC 8032 §7.1.
struct Ed25519Vector: Sendable {
  let secret: String
  let publicKey: String
  let message: String
  let signature: String
}

struct Ed25519Tests {
  static let vectors = [
    Ed25519Vector(
      secret: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      message: "",
      signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        + "d25bf5f0595bbe24655141438e7a100b"),
    Ed25519Vector(
      secret: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      message: "72",
      signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        + "387b2eaeb4302aeeb00d291612bb0c00"),
    Ed25519Vector(
      secret: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
      message: "af82",
      signature: "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        + "4a7c15e9716ed28dc027beceea1ec40a"),
    Ed25519Vector(
      secret: "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
      publicKey: "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
      message: "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
        + "454d4423643ce80e2a9ac94fa54ca49f",
      signature: "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        + "3dca179c138ac17ad9bef1177331a704"),
  ]

  @Test(arguments: vectors)
  func rfc8032(vector: Ed25519Vector) throws {
    let key = try Ed25519PrivateKey(rawBytes: try #require(Hex.decode(vector.secret)))
    let message = try #require(Hex.decode(vector.message))
    #expect(Hex.encode(key.publicKey.rawBytes) == vector.publicKey)
    #expect(Hex.encode(try key.sign(message)) == vector.signature)
    let signature = try #require(Hex.decode(vector.signature))
    #expect(key.publicKey.isValid(signature: signature, for: message))
  }

  @Test func everyFlippedBitIsFound() throws {
    let key = try Ed25519PrivateKey.generate()
    let message = Array("result".utf8)
    let signature = try key.sign(message)
    for bit in 0..<(signature.count * 8) {
      var bad = signature
      bad[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(!key.publicKey.isValid(signature: bad, for: message), "bit \(bit) of the signature")
    }
    for bit in 0..<(message.count * 8) {
      var bad = message
      bad[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(!key.publicKey.isValid(signature: signature, for: bad), "bit \(bit) of the message")
    }
    #expect(!key.publicKey.isValid(signature: signature.dropLast(), for: message))
    #expect(!key.publicKey.isValid(signature: signature + [0], for: message))
    #expect(!key.publicKey.isValid(signature: [], for: message))
    #expect(!(try Ed25519PrivateKey.generate()).publicKey.isValid(signature: signature, for: message))
  }

  @Test func textForms() throws {
    let key = try Ed25519PrivateKey.generate()
    #expect(try Ed25519PrivateKey(pem: key.pem()).publicKey == key.publicKey)
    #expect(try Ed25519PrivateKey(rawBytes: key.rawBytes()).publicKey == key.publicKey)
    #expect(try Ed25519PublicKey(pem: key.publicKey.pem) == key.publicKey)
    #expect(try Ed25519PublicKey(id: key.publicKey.id) == key.publicKey)
    #expect(key.publicKey.id.utf8.count == 43)
    #expect(!"\(key)".contains(Base64URL.encode(try key.rawBytes())))
    let windows = try key.pem().split(separator: "\n").joined(separator: "\r\n") + "\r\n"
    #expect(try Ed25519PrivateKey(pem: windows).publicKey == key.publicKey)
  }

  @Test func wrongKeysAreRefused() throws {
    let key = try Ed25519PrivateKey.generate()
    #expect(throws: CryptographyError.self) { try Ed25519PrivateKey(rawBytes: [UInt8](repeating: 1, count: 31)) }
    #expect(throws: CryptographyError.self) { try Ed25519PublicKey(rawBytes: [UInt8](repeating: 1, count: 33)) }
    #expect(throws: CryptographyError.self) { try Ed25519PublicKey(id: "???") }
    #expect(throws: CryptographyError.self) { try Ed25519PublicKey(pem: key.pem()) }
    #expect(throws: CryptographyError.self) { try Ed25519PrivateKey(pem: key.publicKey.pem) }
    #expect(throws: CryptographyError.self) { try Ed25519PrivateKey(pem: "") }
    #expect(throws: CryptographyError.self) { try Ed25519PrivateKey(pem: key.pem() + "x") }
    let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    #expect(throws: CryptographyError.self) { try Ed25519PrivateKey(pem: garbage) }
    // X25519, told apart by the last byte of its algorithm identifier only (RFC 8410 §3).
    let der: [UInt8] = [0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x6E, 0x04, 0x22, 0x04, 0x20]
    let other = Base64.encode(der + SecureRandom.bytes(32))
    #expect(throws: CryptographyError.invalidKey(reason: "the PEM block holds no Ed25519 key")) {
      try Ed25519PrivateKey(pem: "-----BEGIN PRIVATE KEY-----\n\(other)\n-----END PRIVATE KEY-----\n")
    }
  }
}
