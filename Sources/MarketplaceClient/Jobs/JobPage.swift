public import JSON

/// One page of a list of jobs.
public struct JobPage: Hashable, Sendable {
  /// As it came.
  public let json: JSONValue
  public let jobs: [JobSnapshot]
  /// How many match in all.
  public let total: Int64?
  /// For the next page; nil on the last.
  public let nextCursor: String?

  init(json: JSONValue) throws(ClientError) {
    guard let jobs = (json["jobs"] ?? json["items"])?.array else { throw .unexpected("the list has no jobs in it") }
    self.json = json
    self.jobs = jobs.compactMap(JobSnapshot.init(json:))
    total = json["total"]?.integer
    nextCursor = json["has_more"]?.bool == false ? nil : json["next_cursor"]?.string
  }
}
