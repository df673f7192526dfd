import Marketplace
import Testing

@Suite struct FeeRateTests {
  @Test(
    arguments: [
      ("0", 0, "0.00"), ("5", 500, "5.00"), ("2.5", 250, "2.50"), ("0.01", 1, "0.01"), ("100", 10_000, "100.00"),
    ]
      as [(String, Int64, String)])
  func reads(_ text: String, _ basisPoints: Int64, _ shown: String) {
    #expect(FeeRate(percent: text)?.basisPoints == basisPoints)
    #expect(FeeRate(percent: text)?.description == shown)
  }

  @Test(arguments: ["", "-1", "100.01", "101", "0.001", "x", "5%", "1e1"]) func refuses(_ text: String) {
    #expect(FeeRate(percent: text) == nil)
  }

  @Test(
    arguments: [
      (0, 1_000, 0), (500, 50_000, 2_500), (1, 9_999, 0), (1, 10_000, 1), (10_000, 7, 7),
      (250, .max, 230_584_300_921_369_395),
    ]
      as [(Int64, Int64, Int64)])
  func theMinerGetsTheRemainder(_ basisPoints: Int64, _ charge: Int64, _ fee: Int64) throws {
    let rate = try #require(FeeRate(basisPoints: basisPoints))
    #expect(rate.share(of: Money(micros: charge)) == Money(micros: fee))
  }

  @Test func nothingIsTakenOfADebt() { #expect(FeeRate(basisPoints: 500)?.share(of: Money(micros: -100)) == .zero) }
}
