public import JSON

/// What a purge removed, or would remove.
public struct PurgeAnswer: Hashable, Sendable {
  /// Jobs whose results are gone with it.
  public private(set) var deleted: Int64 = 0
  /// Those of them that still have files on the coordinator's disk; it tries again.
  public private(set) var errors: Int64 = 0
  public let isDryRun: Bool
  public private(set) var items: [JSONValue] = []

  public init(isDryRun: Bool) { self.isDryRun = isDryRun }

  mutating func add(_ answer: JSONValue) {
    deleted += answer["deleted"]?.integer ?? 0
    errors += answer["errors"]?.integer ?? 0
    items += answer["items"]?.array ?? []
  }

  /// In the shape of the API, whatever was found.
  public var json: JSONValue {
    [
      "deleted": .integer(deleted), "errors": .integer(errors), "dry_run": .bool(isDryRun), "items": .array(items),
    ]
  }
}
