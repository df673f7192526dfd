import Marketplace
import Testing

@testable import aitbc

struct TransferRateTests {
  private func rate(_ samples: [(Int64, Int64)]) -> TransferRate {
    var rate = TransferRate()
    for (at, bytes) in samples { rate.note(bytes, at: Timestamp(milliseconds: at)) }
    return rate
  }

  @Test func lines() {
    let mib: Int64 = 1 << 20
    #expect(rate([(0, 0)]).line(of: 100 * mib) == "0% 0 B of 100.0 MiB")
    #expect(rate([(0, 0), (1000, 10 * mib)]).line(of: 100 * mib) == "10% 10.0 MiB of 100.0 MiB, 10.0 MiB/s, 0:09 left")
    // What an earlier attempt left is not of this rate.
    #expect(
      rate([(0, 50 * mib), (2000, 60 * mib)]).line(of: 100 * mib) == "60% 60.0 MiB of 100.0 MiB, 5.0 MiB/s, 0:08 left")
    #expect(rate([(0, 0), (100, mib)]).perSecond == nil)
  }

  @Test func aStallShows() {
    var rate = rate([(0, 0), (1000, 1000)])
    for second in 2...20 as ClosedRange<Int64> { rate.note(1000, at: Timestamp(milliseconds: second * 1000)) }
    #expect(rate.perSecond == 0 && rate.remaining(of: 2000) == nil)
  }

  @Test(arguments: [
    ("0", 0), ("4096", 4096), ("512M", 512 << 20), ("10G", 10 << 30), ("10GiB", 10 << 30), ("1k", 1024),
    ("2t", 2 << 40),
  ])
  func sizes(_ text: String, _ bytes: Int64) { #expect((try? ByteSize.read(text))?.bytes == bytes) }

  @Test(arguments: ["", "G", "-1", "1.5G", "10X", "9999999999999T", "1 G"])
  func noSizes(_ text: String) { #expect((try? ByteSize.read(text)) == nil) }
}
