import Cryptography
import Testing

struct TextCodingTests {
  /// RFC 4648 §10.
  static let vectors: [(plain: String, padded: String)] = [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
    ("foobar", "Zm9vYmFy"),
  ]

  @Test(arguments: vectors)
  func base64Vector(plain: String, padded: String) {
    let unpadded = String(padded.prefix { $0 != "=" })
    #expect(Base64.encode(plain.utf8) == padded)
    #expect(Base64URL.encode(plain.utf8) == unpadded)
    #expect(Base64.decode(padded) == Array(plain.utf8))
    #expect(Base64URL.decode(unpadded) == Array(plain.utf8))
  }

  @Test func urlAlphabet() {
    #expect(Base64URL.encode([0xFB, 0xFF, 0xBF]) == "-_-_")
    #expect(Base64.encode([0xFB, 0xFF, 0xBF]) == "+/+/")
    #expect(Base64URL.decode("+/+/") == nil)
    #expect(Base64.decode("-_-_") == nil)
  }

  @Test(arguments: ["Z", "Zg=", "Zg==", "Z g", "Zg\n", "Zh", "Zm9", "Zm9vé", "=", "Zm9vZ"])
  func base64URLRefuses(text: String) { #expect(Base64URL.decode(text) == nil) }

  @Test(arguments: ["Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm9v\n", " Zg=", "Zg==Zg=="])
  func base64Refuses(text: String) { #expect(Base64.decode(text) == nil) }

  @Test func eachValueHasOneSpelling() {
    // Of the 64 * 64 texts of two characters only those with four zero bits at the end are a byte.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    var accepted = 0
    for first in alphabet {
      for second in alphabet where Base64URL.decode("\(first)\(second)") != nil { accepted += 1 }
    }
    #expect(accepted == 256)
  }

  @Test func roundTripsOfEveryLength() {
    for count in 0..<100 {
      let bytes = SecureRandom.bytes(count)
      #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
      #expect(Hex.decode(Hex.encode(bytes)) == bytes)
    }
  }

  @Test func hex() {
    #expect(Hex.encode([0, 0x0F, 0xF0, 0xFF]) == "000ff0ff")
    #expect(Hex.decode("000Ff0fF") == [0, 0x0F, 0xF0, 0xFF])
    for bad in ["0", "0g", "0x", " 0", "００"] { #expect(Hex.decode(bad) == nil, "\(bad)") }
  }
}
