import HTTPTypes
import Instruments

/// Counts requests by the pattern of their route, never by their path: the table is made at the start and does not grow.
final class RequestMetrics: Sendable {
  private struct Key: Hashable {
    let method: String
    let route: String
  }

  /// One method of one route.
  private final class Meter: Sendable {
    /// By the first digit of the status.
    let classes = (1...5).map { _ in Counter() }
    let durations = Histogram.durations()
  }

  /// Where no route is, or a method that the route does not know.
  private static let unmatched = "unmatched"
  private static let pages = "pages"

  private let meters: [Key: Meter]
  /// How a path's pattern is called in labels.
  private let names: [String: String]
  private let rest = Meter()

  init(_ routes: [RouteTable.Route]) {
    var meters: [Key: Meter] = [:]
    var names: [String: String] = [:]
    for route in routes {
      // The files of the web page are one.
      let isPage = !["/v1", "/share", "/healthz", "/readyz", "/metrics", "/openapi.json"].contains(
        where: { route.path == $0 || route.path.hasPrefix($0 + "/") || route.path.hasPrefix($0 + ":") })
      let name = isPage ? Self.pages : route.path
      names[route.path] = name
      for method in route.methods {
        meters[Key(method: method, route: name)] = meters[Key(method: method, route: name)] ?? Meter()
      }
    }
    self.meters = meters
    self.names = names
  }

  /// A request was answered, at least the answer's head.
  /// - pattern: the matched route's; nil or an unknown one for none.
  func count(_ method: HTTPRequest.Method, pattern: String?, status: Int, microseconds: Int64) {
    let name = pattern.flatMap { names[$0] }
    let meter = name.flatMap { meters[Key(method: method.rawValue, route: $0)] } ?? rest
    meter.classes[min(max(status / 100, 1), 5) - 1].add()
    meter.durations.observe(microseconds)
  }

  /// Only what was asked for at least once: most routes stay silent for long.
  func write(to page: inout Exposition) {
    var used = meters.map { (labels: [("method", $0.key.method), ("route", $0.key.route)], meter: $0.value) }
    used.sort { ($0.labels[1].1, $0.labels[0].1) < ($1.labels[1].1, $1.labels[0].1) }
    used.append((labels: [("method", "any"), ("route", Self.unmatched)], meter: rest))
    used = used.filter { $0.meter.durations.reading.count > 0 }
    page.family("aitbc_http_requests_total", .counter, "Requests answered, by route pattern and class of status.")
    for (labels, meter) in used {
      for (index, counter) in meter.classes.enumerated() where counter.value > 0 {
        page.sample(labels + [("status", "\(index + 1)xx")], counter.value)
      }
    }
    page.family(
      "aitbc_http_request_duration_seconds", .histogram,
      "From the request's head to the answer's head; long polls wait in it, streamed bodies do not count.")
    for (labels, meter) in used { page.sample(labels, meter.durations) }
  }
}
