import Marketplace
import Testing
import TestRandomness

@Suite struct MoneyTests {
  @Test(
    arguments: [
      ("0", 0, "0.000000"), ("0.025", 25_000, "0.025000"), ("0.05", 50_000, "0.050000"), ("2.4", 2_400_000, "2.400000"),
      ("1", 1_000_000, "1.000000"), ("0.000001", 1, "0.000001"), ("00.10", 100_000, "0.100000"),
      ("12.345678", 12_345_678, "12.345678"), ("1000000000", 1_000_000_000_000_000, "1000000000.000000"),
      ("999999999.999999", 999_999_999_999_999, "999999999.999999"),
    ] as [(String, Int64, String)])
  func reads(text: String, micros: Int64, shown: String) {
    #expect(Money(decimal: text) == Money(micros: micros))
    #expect(Money(decimal: Substring(text))?.description == shown)
  }

  @Test(arguments: [
    "", ".", "1.", ".5", "-1", "-0", "+1", "1e3", "1E-2", "0x1", " 1", "1 ", "1,5", "1.2.3", "1_000", "NaN", "inf", "０",
    "1.0000001", "0.0000000", "1000000000.000001", "1000000001", "9999999999", "10000000000", "99999999999999999999",
    "1.\u{660}", "1.5\0", "$1",
  ])
  func refuses(text: String) { #expect(Money(decimal: text) == nil) }

  @Test(arguments: [UInt64.random(in: 0 ... .max)]) func roundTrip(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<5_000 {
      let shift = Int64(random.below(50))
      let amount = Money(micros: Int64.random(in: 0...Money.largestInput.micros, using: &random) >> shift)
      #expect(Money(decimal: amount.description) == amount, "seed \(seed)")
      #expect((-amount).description == (amount == .zero ? "" : "-") + amount.description, "seed \(seed)")
    }
  }

  @Test func extremes() {
    #expect(Money(micros: .max).description == "9223372036854.775807")
    #expect(Money(micros: .min).description == "-9223372036854.775808")
    #expect(-Money(micros: .min) == Money(micros: .max))
    #expect(Money(micros: .max) + Money(micros: 1) == Money(micros: .max))
    #expect(Money(micros: .min) + Money(micros: -1) == Money(micros: .min))
    #expect(Money(micros: 2) + -Money(micros: 5) == Money(micros: -3))
    #expect(Money(micros: -1).description == "-0.000001")
    #expect(Money(micros: -1) < .zero)
  }
}
