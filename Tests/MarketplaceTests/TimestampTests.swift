import Glibc
import Testing
import TestRandomness

@testable import Marketplace

@Suite struct TimestampTests {
  @Test(
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:00.001Z", 1), ("1969-12-31T23:59:59.999Z", -1),
      ("2026-02-13T10:00:00Z", 1_770_976_800_000), ("2026-02-13T10:00:00.5Z", 1_770_976_800_500),
      ("2026-02-13T10:00:00.123456789Z", 1_770_976_800_123), ("2026-02-13t10:00:00z", 1_770_976_800_000),
      ("2026-02-13 10:00:00Z", 1_770_976_800_000), ("2026-02-13T10:00:00+00:00", 1_770_976_800_000),
      ("2026-02-13T10:00:00-00:00", 1_770_976_800_000), ("2026-02-13T11:00:00+01:00", 1_770_976_800_000),
      ("2026-02-13T04:30:00-05:30", 1_770_976_800_000), ("2026-02-14T09:59:00+23:59", 1_770_976_800_000),
      ("2026-02-12T10:01:00-23:59", 1_770_976_800_000), ("2000-02-29T00:00:00Z", 951_782_400_000),
      ("0000-01-01T00:00:00Z", -62_167_219_200_000), ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
      ("1900-03-01T00:00:00Z", -2_203_891_200_000),
    ] as [(String, Int64)])
  func reads(text: String, milliseconds: Int64) {
    #expect(Timestamp(rfc3339: text)?.milliseconds == milliseconds)
    #expect(Timestamp(rfc3339: Substring(text))?.milliseconds == milliseconds)
  }

  @Test(arguments: [
    "", "2026", "2026-02-13", "2026-02-13T10:00", "2026-02-13T10:00:00", "2026-02-13T10:00Z", "2026-02-13T10:00:00.Z",
    "2026-02-13T10:00:00,5Z", "2026-02-13T10:00:00+0100", "2026-02-13T10:00:00+01", "2026-02-13T10:00:00+24:00",
    "2026-02-13T10:00:00+01:60", "2026-02-13T10:00:00ZZ", "2026-02-13T10:00:00Z ", " 2026-02-13T10:00:00Z",
    "2026-02-13T24:00:00Z", "2026-02-13T10:60:00Z", "2026-02-13T10:00:60Z", "2026-02-30T10:00:00Z",
    "2026-02-29T10:00:00Z", "1900-02-29T10:00:00Z", "2100-02-29T10:00:00Z", "2026-04-31T10:00:00Z",
    "2026-00-13T10:00:00Z", "2026-13-13T10:00:00Z", "2026-02-00T10:00:00Z", "2026-01-32T10:00:00Z",
    "26-02-13T10:00:00Z", "12026-02-13T10:00:00Z", "-026-02-13T10:00:00Z", "+2026-02-13T10:00:00Z",
    "2026-2-13T10:00:00Z", "2026-02-13T1:00:00Z", "2026/02/13T10:00:00Z", "20260213T100000Z", "1770976800",
    "２０２６-02-13T10:00:00Z", "2026-02-13T10:00:00.５Z", "2026-02-13T10:00:00\u{2212}01:00",
  ])
  func refuses(text: String) { #expect(Timestamp(rfc3339: text) == nil) }

  /// Against the C library's calendar, over all years that the format can write.
  @Test(arguments: [UInt64.random(in: 0 ... .max), 1, 2]) func agreesWithTheLibrary(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for round in 0..<3_000 {
      let range: ClosedRange<Int64> =
        round % 2 == 0 ? -62_167_219_200...253_402_300_799 : -4_000_000_000...4_000_000_000
      var seconds = Int.init(Int64.random(in: range, using: &random))
      let fraction = Int64(random.below(1000))
      var parts = tm()
      try #require(gmtime_r(&seconds, &parts) != nil)
      let text =
        padded(Int(parts.tm_year) + 1900, 4) + "-" + padded(Int(parts.tm_mon) + 1, 2) + "-"
        + padded(Int(parts.tm_mday), 2)
        + "T" + padded(Int(parts.tm_hour), 2) + ":" + padded(Int(parts.tm_min), 2) + ":" + padded(Int(parts.tm_sec), 2)
        + "." + padded(Int(fraction), 3) + "Z"
      let time = Timestamp(milliseconds: Int64(seconds) * 1000 + fraction)
      #expect(time.description == text, "seed \(seed)")
      #expect(Timestamp(rfc3339: text) == time, "seed \(seed)")
      #expect(time.unixSeconds == Int64(seconds), "seed \(seed)")
    }
  }

  private func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  /// Every day of four centuries exists once, and the one after its last day does not.
  @Test func everyDay() {
    let lengths: [Int64] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    var expected = CivilDate.daysSinceEpoch(year: 1899, month: 12, day: 31) ?? .min
    for year in Int64(1900)..<2300 {
      let isLeap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0)
      for month in Int64(1)...12 {
        let length = lengths[Int(month) - 1] + (isLeap && month == 2 ? 1 : 0)
        for day in 1...length {
          expected += 1
          #expect(CivilDate.daysSinceEpoch(year: year, month: month, day: day) == expected)
          #expect(CivilDate.from(daysSinceEpoch: expected) == (year, month, day))
        }
        #expect(CivilDate.daysSinceEpoch(year: year, month: month, day: length + 1) == nil)
      }
    }
  }

  @Test(
    arguments: [
      ("2026-01-31", 1_769_817_600_000), ("1970-01-01", 0), ("1969-12-31", -86_400_000),
      ("2024-02-29", 1_709_164_800_000),
    ] as [(String, Int64)])
  func dateAlone(text: String, milliseconds: Int64) {
    #expect(Timestamp(date: text)?.milliseconds == milliseconds)
  }

  @Test(arguments: ["", "2026-01", "2026-02-29", "2026-01-31T", "2026-01-31T00:00:00Z", "2026-1-31", "31-01-2026"])
  func badDate(text: String) { #expect(Timestamp(date: text) == nil) }

  /// "Never" is shown as the last moment that the format has; nothing traps.
  @Test func extremes() {
    let (first, last) = (Timestamp(milliseconds: .min), Timestamp(milliseconds: .max))
    #expect(last.description == "9999-12-31T23:59:59.999Z")
    #expect(first.description == "0000-01-01T00:00:00.000Z")
    #expect(last + Seconds(1) == last && first - Seconds(1) == first)
    #expect(first + Seconds(-1) == first && last - Seconds(-1) == last)
    #expect(last.millisecondsSince(first) == .max && first.millisecondsSince(last) == .min)
    #expect(last.unixSeconds == Int64.max / 1000 && first.unixSeconds == Int64.min / 1000 - 1)
  }

  @Test func arithmetic() {
    let time = Timestamp(milliseconds: 1_500)
    #expect((time + Seconds(2)).milliseconds == 3_500)
    #expect((time - Seconds(2)).milliseconds == -500)
    #expect((time - Seconds(2)).unixSeconds == -1)
    #expect(Timestamp(milliseconds: -1000).unixSeconds == -1 && Timestamp(milliseconds: -1001).unixSeconds == -2)
    #expect(time.millisecondsSince(time + Seconds(2)) == -2_000)
    #expect(time < time + Seconds(milliseconds: 1))
  }
}
