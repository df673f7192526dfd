/// What `GET /v1/jobs` is asked for.
public struct JobFilter: Hashable, Sendable {
  /// State words, any the coordinator knows.
  public var statuses: [String] = []
  /// `key=value`, all of them.
  public var labels: [String] = []
  /// Text to look for.
  public var search: String?
  /// Created within so many days.
  public var days: Int?
  /// A date or an RFC 3339 time; a date means its first moment.
  public var from: String?
  /// A date or an RFC 3339 time; a date means its last moment.
  public var to: String?
  /// A field's name, with `-` before it for the other direction.
  public var sort: String?
  /// 1-500. Nil: the coordinator's default of 20.
  public var limit: Int?
  public var cursor: String?

  public init() {}

  var query: [(String, String?)] {
    [("status", statuses.isEmpty ? nil : statuses.joined(separator: ","))]
      + labels.map { ("label", $0) }
      + [
        ("q", search), ("days", days.map(String.init)), ("from", from), ("to", to), ("sort", sort),
        ("limit", limit.map(String.init)), ("cursor", cursor),
      ]
  }
}
