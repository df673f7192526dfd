import Testing

@testable import Instruments

struct ExpositionTests {
  @Test func `a family stands under its help and type`() {
    var page = Exposition()
    page.counter("things_total", "All things.", 7)
    #expect(page.text == "# HELP things_total All things.\n# TYPE things_total counter\nthings_total 7\n")
  }

  @Test func `labels and help are escaped`() {
    var page = Exposition()
    page.family("things", .gauge, "A \\ and\na \"line\"")
    page.sample([("path", "a\"b\\c\nd"), ("kind", "x")], 1)
    #expect(
      page.text == "# HELP things A \\\\ and\\na \"line\"\n# TYPE things gauge\n"
        + "things{path=\"a\\\"b\\\\c\\nd\",kind=\"x\"} 1\n")
  }

  @Test func `a histogram's buckets are cumulative`() {
    let histogram = Histogram(.duration, bounds: [1_000, 2_500_000])
    for value in [500, 1_000, 1_001, 3_000_000] as [Int64] { histogram.observe(value) }
    var page = Exposition()
    page.family("wait_seconds", .histogram, "Waiting.")
    page.sample([("route", "/")], histogram)
    #expect(
      page.text.split(separator: "\n").dropFirst(2) == [
        "wait_seconds_bucket{route=\"/\",le=\"0.001\"} 2", "wait_seconds_bucket{route=\"/\",le=\"2.5\"} 3",
        "wait_seconds_bucket{route=\"/\",le=\"+Inf\"} 4", "wait_seconds_sum{route=\"/\"} 3.002501",
        "wait_seconds_count{route=\"/\"} 4",
      ])
  }

  @Test func `counts of things are whole numbers`() {
    let histogram = Histogram(.number, bounds: [1, 10])
    histogram.observe(10)
    histogram.observe(11)
    #expect(histogram.reading.cumulative == [0, 1])
    #expect(histogram.reading.count == 2)
    #expect(histogram.reading.sum == 21)
  }

  @Test func `a counter adds up from many tasks`() async {
    let counter = Counter()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 { group.addTask { for _ in 0..<1_000 { counter.add() } } }
    }
    #expect(counter.value == 8_000)
  }
}
