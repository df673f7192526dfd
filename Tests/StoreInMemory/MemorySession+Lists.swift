import Cryptography
import Marketplace
import Store

/// Lists of jobs, page by page.
extension MemorySession {
  func jobs(_ query: JobQuery) throws -> JobPage {
    let limit = min(max(1, query.limit), 500)
    let after = try query.cursor.map { try ListPlace($0, sort: query.sort) }
    let all = tables.jobs.values.map(\.value).filter { query.matches($0.job) }
      .map { (place: ListPlace($0, query.sort), job: $0.job) }
      .sorted { $0.place.comes(before: $1.place) }
    let rest = all.filter { item in after.map { $0.comes(before: item.place) } ?? true }.dropFirst(max(0, query.offset))
    let page = Array(rest.prefix(limit))
    let next = rest.count > limit ? page.last?.place.text : nil
    return JobPage(jobs: page.map(\.job), total: query.countsTotal ? all.count : page.count, nextCursor: next)
  }
}

extension JobQuery {
  fileprivate func matches(_ job: Job) -> Bool {
    let specification = job.specification
    let wanted = text?.lowercased() ?? ""
    let texts = [specification.name ?? "", specification.runKey ?? "", job.id.rawValue].map { $0.lowercased() }
    return job.account == account && (states.isEmpty || states.contains(job.state))
      && labels.allSatisfy { specification.labels[$0.key] == $0.value }
      && (wanted.isEmpty || texts.contains { $0.contains(wanted) }) && (from.map { job.createdAt >= $0 } ?? true)
      && (until.map { job.createdAt < $0 } ?? true)
  }
}

/// A job's place in a list.
private struct ListPlace {
  let sort: JobQuery.Sort
  /// 1 for jobs without an end in a list by end; they come last.
  let part: Int64
  let value: Int64
  let key: Int64

  private var isDescending: Bool { sort == .newest || sort == .latestEnd }

  init(_ row: StoredJob, _ sort: JobQuery.Sort) {
    self.sort = sort
    key = row.key
    switch sort {
    case .newest, .oldest: (part, value) = (0, row.job.createdAt.milliseconds)
    case .latestEnd, .earliestEnd:
      (part, value) = row.job.completedAt.map { (0, $0.milliseconds) } ?? (1, 0)
    }
  }

  func comes(before other: ListPlace) -> Bool {
    if part != other.part { return part < other.part }
    return isDescending ? (value, key) > (other.value, other.key) : (value, key) < (other.value, other.key)
  }

  /// The numbers with a checksum, so that a cursor that was changed is no cursor.
  var text: String {
    let numbers = "\(sort.rawValue) \(part) \(value) \(key)"
    return numbers + " " + SHA256.hash(numbers.utf8).hex.prefix(16)
  }

  init(_ text: String, sort: JobQuery.Sort) throws(InvalidCursor) {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 5, words[0] == sort.rawValue, let part = Int64(words[1]), let value = Int64(words[2]),
      let key = Int64(words[3])
    else { throw InvalidCursor() }
    (self.sort, self.part, self.value, self.key) = (sort, part, value, key)
    guard self.text == text else { throw InvalidCursor() }
  }
}
