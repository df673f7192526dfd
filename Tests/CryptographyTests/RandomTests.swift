import Cryptography
import Testing

struct RandomTests {
  @Test func tokensAreUniqueAndLongEnough() {
    var seen: Set<String> = []
    for _ in 0..<1000 {
      let token = secureToken(prefix: "ak_")
      #expect(token.hasPrefix("ak_"))
      #expect(Base64URL.decode(token.dropFirst(3))?.count == 32)
      #expect(seen.insert(token).inserted)
    }
    #expect(Base64URL.decode(secureToken(prefix: "", bytes: 9))?.count == 9)
    #expect(secureToken(prefix: "x_", bytes: 0) == "x_")
  }

  @Test func generatorFillsEveryBit() {
    var generator = SecureRandom()
    var ones: UInt64 = 0
    var zeros: UInt64 = 0
    for _ in 0..<200 {
      let value = generator.next()
      ones |= value
      zeros |= ~value
    }
    #expect(ones == .max && zeros == .max)
    #expect(SecureRandom.bytes(0).isEmpty && SecureRandom.bytes(-1).isEmpty)
    #expect(Set(SecureRandom.bytes(4096)).count > 200)
  }

  @Test func constantTimeComparison() {
    #expect(constantTimeEquals([UInt8](), []))
    #expect(constantTimeEquals("ak_é", "ak_é"))
    #expect(!constantTimeEquals("é", "e\u{301}"))
    #expect(!constantTimeEquals("a", "ab"))
    let secret = SecureRandom.bytes(32)
    for index in secret.indices {
      var other = secret
      other[index] ^= 1
      #expect(!constantTimeEquals(secret, other))
    }
  }
}
