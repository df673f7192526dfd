import Marketplace
import Testing
import TestRandomness

@Suite struct DurationTests {
  @Test(
    arguments: [
      ("90", 90), ("1", 1), ("90s", 90), ("30m", 1_800), ("2h", 7_200), ("7d", 604_800), ("2w", 1_209_600),
      ("090s", 90),
      ("000000000001", 1), ("3660d", 316_224_000), ("316224000", 316_224_000), ("87840h", 316_224_000),
    ] as [(String, Int64)])
  func reads(text: String, seconds: Int64) {
    #expect(Seconds(durationText: text) == Seconds(seconds))
    #expect(Seconds(durationText: Substring(text))?.whole == seconds)
  }

  @Test(arguments: [
    "", "0", "0s", "00", "000h", "-1", "-1h", "+1", "+90s", "1.5h", "1,5h", "1e3", "1 h", " 1h", "1h ", "1h\n", "h",
    "s",
    "hh", "1hh", "1h30m", "1H", "1S", "1min", "1y", "1ms", "1µ", "0x10", "1_000", "½h", "１h", "٣h", "१", "1\u{301}",
    "3661d", "316224001", "99999999999999999999", "9223372036854775807w", "9223372036854775808", "100000000000000",
    "0000000000001", "infinity", "nan", "1h\0",
  ])
  func refuses(text: String) { #expect(Seconds(durationText: text) == nil) }

  @Test(arguments: [UInt64.random(in: 0 ... .max)]) func everyUnit(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let units: [(String, Int64)] = [("", 1), ("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 604_800)]
    for _ in 0..<2_000 {
      let (unit, length) = units[random.below(units.count)]
      let count = Int64.random(in: 1...(2 * 316_224_000 / length), using: &random)
      let expected = count * length <= 316_224_000 ? Seconds(count * length) : nil
      #expect(Seconds(durationText: "\(count)\(unit)") == expected, "seed \(seed)")
    }
  }

  @Test func saturates() {
    #expect(Seconds(.max).milliseconds == .max && Seconds(.min).milliseconds == .min)
    #expect(Seconds(Int64.max / 1000).milliseconds == Int64.max / 1000 * 1000)
    #expect(Seconds(Int64.max / 1000 + 1).milliseconds == .max)
    #expect(Seconds.days(.max).milliseconds == .max && Seconds.days(.min).milliseconds == .min)
    #expect(Seconds.days(2).milliseconds == 172_800_000)
    #expect(Seconds(milliseconds: 1_999).whole == 1 && Seconds(milliseconds: -1_999).whole == -1)
    #expect(Seconds(1) < Seconds(2))
  }
}
