import JSON
import Marketplace
import Store
import Wire

/// What `POST /v1/jobs:cancel` asks for.
struct BulkCancel: Sendable {
  enum Selection: Sendable {
    case ids([JobID])
    case runKey(String)
    case filter(JobQuery)
  }

  var account: AccountID
  var selection: Selection
  var reason: String?
  var grace: Seconds
  var isDryRun: Bool
  /// Jobs that are touched at most.
  var limit: Int

  private static let filterFields = ["status", "labels", "q", "from", "to", "all"]

  /// Throws ``Problem`` 422 that names every wrong field. Without any choice of jobs nothing is canceled: all of them
  /// must be asked for with `all`.
  static func parse(_ body: JSONValue, account: AccountID, limit most: Int) throws -> BulkCancel {
    var reader = FieldReader(body)
    let choices = [["ids"], ["run_key"], filterFields].filter { $0.contains { reader.has($0) } }
    let ids = ids(&reader, most)
    let runKey = reader.string("run_key", limit: 256)
    let query = query(&reader, account)
    if choices.count != 1, reader.errors.isEmpty {
      reader.add([FieldError("", "give ids, or run_key, or a filter (\(filterFields.joined(separator: ", ")))")])
    }
    let reason = reader.string("reason", limit: 1_024)
    let grace = reader.integer("grace_seconds", in: 0...CancelRequest.longestGrace.whole).map { Seconds($0) }
    let isDryRun = reader.bool("dry_run") ?? false
    let limit = reader.integer("limit", in: 1...Int64(most)).map { Int($0) } ?? most
    let errors = reader.finish()
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    return BulkCancel(
      account: account, selection: ids.map(Selection.ids) ?? runKey.map(Selection.runKey) ?? .filter(query),
      reason: reason, grace: grace ?? CancelRequest.defaultGrace, isDryRun: isDryRun, limit: limit)
  }

  private static func ids(_ reader: inout FieldReader, _ most: Int) -> [JobID]? {
    guard let words = reader.strings("ids", count: most, limit: 256) else { return nil }
    var known: Set<JobID> = []
    var ids: [JobID] = []
    for (index, word) in words.enumerated() {
      guard let id = JobID(word) else {
        reader.fail("ids", "\(index)", "is not a job's id")
        continue
      }
      if known.insert(id).inserted { ids.append(id) }
    }
    return ids
  }

  /// Only jobs that have not ended; oldest first, so that a cut is where the next call goes on.
  private static func query(_ reader: inout FieldReader, _ account: AccountID) -> JobQuery {
    var query = JobQuery(account: account)
    query.sort = .oldest
    let active = Set(JobState.allCases.filter { !$0.isTerminal })
    query.states = active
    if let words = words("status", &reader) {
      query.states = []
      for word in words {
        if let states = JobState.matching(word) {
          query.states.formUnion(states)
        } else {
          reader.fail("status", "\"\(word)\" is not a state")
        }
      }
      query.states.formIntersection(active)
      if query.states.isEmpty, reader.errors.isEmpty { reader.fail("status", "names no state that can be canceled") }
    }
    query.labels = Dictionary(reader.pairs("labels", count: 64, limit: 1_024) ?? [], uniquingKeysWith: { $1 })
    query.text = reader.string("q", limit: 256)
    query.from = reader.timestamp("from")
    query.until = reader.timestamp("to")
    if reader.bool("all") == false { reader.fail("all", "can only be true") }
    return query
  }

  /// A word or an array of words.
  private static func words(_ name: String, _ reader: inout FieldReader) -> [String]? {
    guard let value = reader.value(name) else { return nil }
    if let word = value.string { return word.split(separator: ",").map(String.init) }
    return reader.strings(name, count: 64, limit: 64)
  }
}
