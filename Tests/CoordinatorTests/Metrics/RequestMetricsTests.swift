import HTTPTypes
import Instruments
import Testing

@testable import Coordinator

struct RequestMetricsTests {
  private static func text(_ body: (RequestMetrics) -> Void) -> [Substring] {
    let metrics = RequestMetrics([
      RouteTable.Route(path: "/v1/jobs/{id}", methods: ["GET", "HEAD", "DELETE"]),
      RouteTable.Route(path: "/index.html", methods: ["GET"]), RouteTable.Route(path: "/", methods: ["GET"]),
    ])
    body(metrics)
    var page = Exposition()
    metrics.write(to: &page)
    return page.text.split(separator: "\n")
  }

  @Test func `requests are counted by pattern, method and class`() {
    let lines = Self.text { metrics in
      metrics.count(.get, pattern: "/v1/jobs/{id}", status: 200, microseconds: 900)
      metrics.count(.get, pattern: "/v1/jobs/{id}", status: 204, microseconds: 1_100)
      metrics.count(.get, pattern: "/v1/jobs/{id}", status: 404, microseconds: 1)
    }
    let labels = "method=\"GET\",route=\"/v1/jobs/{id}\""
    #expect(lines.contains("aitbc_http_requests_total{\(labels),status=\"2xx\"} 2"))
    #expect(lines.contains("aitbc_http_requests_total{\(labels),status=\"4xx\"} 1"))
    #expect(lines.contains("aitbc_http_request_duration_seconds_bucket{\(labels),le=\"0.001\"} 2"))
    #expect(lines.contains("aitbc_http_request_duration_seconds_count{\(labels)} 3"))
    #expect(!lines.contains { $0.contains("DELETE") })
  }

  @Test func `pages are one, and what no route knows is one`() {
    let lines = Self.text { metrics in
      metrics.count(.get, pattern: "/", status: 200, microseconds: 1)
      metrics.count(.get, pattern: "/index.html", status: 200, microseconds: 1)
      metrics.count(.put, pattern: "/v1/jobs/{id}", status: 405, microseconds: 1)
      metrics.count(.get, pattern: "NotFound", status: 404, microseconds: 1)
      metrics.count(.get, pattern: nil, status: 429, microseconds: 1)
    }
    #expect(lines.contains("aitbc_http_requests_total{method=\"GET\",route=\"pages\",status=\"2xx\"} 2"))
    #expect(lines.contains("aitbc_http_requests_total{method=\"any\",route=\"unmatched\",status=\"4xx\"} 3"))
  }

  @Test func `the fields of a process are counted behind its name`() {
    #expect(ProcessFacts.fields("12 (a) b (c) S 1 2\n") == ["S", "1", "2"])
    let facts = ProcessFacts()
    #expect(facts.residentBytes > 1 << 20 && facts.openFiles > 2 && facts.fileLimit > 0 && facts.startedAt > 0)
    #expect(facts.threads > 0 && facts.virtualBytes > facts.residentBytes)
  }
}
