import HTTPTypes
import Hummingbird

/// Which methods each address knows, so that a wrong one is told from a wrong address.
struct RouteTable: Sendable {
  private struct Entry: Sendable {
    let path: RouterPath
    var methods: Set<HTTPRequest.Method>
  }

  /// An address as it was added, such as `/v1/jobs/{id}`, with its methods.
  struct Route: Hashable, Sendable {
    let path: String
    /// `HEAD` goes with `GET`.
    let methods: Set<String>
  }

  private let entries: [Entry]

  /// All that there is.
  var routes: [Route] {
    entries.map { entry in
      Route(path: entry.path.description, methods: Set(Self.all(entry.methods).map(\.rawValue)))
    }
  }

  /// The routes of a router that has all of them.
  init(_ router: Router<AppContext>) {
    var entries: [Entry] = []
    for route in router.routes {
      if let index = entries.firstIndex(where: { $0.path == route.path }) {
        entries[index].methods.insert(route.method)
      } else {
        entries.append(Entry(path: route.path, methods: [route.method]))
      }
    }
    self.entries = entries
  }

  /// The methods that can be used at a path, as `Allow` lists them; nil when there is nothing at all. `HEAD` goes with
  /// every `GET`.
  func allow(_ path: String) -> String? {
    let segments = path.split(separator: "/")
    let fitting = entries.filter { Self.matches($0.path, segments) }
    // A name goes before a placeholder, as in the router: `/v1/jobs/history` is not a job.
    guard let best = fitting.max(by: { Self.weight($0.path) < Self.weight($1.path) }) else { return nil }
    return Self.all(best.methods).map(\.rawValue).sorted().joined(separator: ", ")
  }

  private static func all(_ methods: Set<HTTPRequest.Method>) -> Set<HTTPRequest.Method> {
    methods.contains(.get) ? methods.union([.head]) : methods
  }

  private static func matches(_ path: RouterPath, _ segments: [Substring]) -> Bool {
    var rest = segments[...]
    for element in path {
      guard let segment = rest.popFirst() else { return false }
      if element == .recursiveWildcard { return true }
      guard element ~= segment else { return false }
    }
    return rest.isEmpty
  }

  /// More plain names are more specific; then more segments.
  private static func weight(_ path: RouterPath) -> Int {
    path.reduce(0) { $0 + (Self.isName($1) ? 1_000 : $1 == .recursiveWildcard ? 0 : 1) }
  }

  private static func isName(_ element: RouterPath.Element) -> Bool { element == element.description }
}
