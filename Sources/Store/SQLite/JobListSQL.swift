import Marketplace

/// The SQL of one part of a job list. Every text it can give is one of a few hundred, so that they stay prepared;
/// values are bound, never written into it.
struct JobListSQL {
  /// What a part consists of.
  enum Part: Int {
    /// The whole list, or the jobs that ended when it is sorted by end.
    case first = 0
    /// The jobs that have not ended, after those that have.
    case withoutEnd = 1
  }

  private let query: JobQuery
  private let part: Part
  private let states: [JobState]

  init(_ query: JobQuery, part: Part) {
    self.query = query
    self.part = part
    states = query.states.count == JobState.allCases.count ? [] : JobState.allCases.filter(query.states.contains)
  }

  /// Rows of (sorted value, key) after `cursor`, in order. Needs two more values: limit and offset.
  func page(after cursor: JobListCursor?) -> (text: String, values: [SQLValue]) {
    var texts: [String] = []
    var values: [SQLValue] = []
    for group in stateGroups {
      var conditions = Conditions()
      add(to: &conditions, states: group)
      if let cursor { addCursor(cursor, to: &conditions) }
      texts.append("SELECT \(sortColumn) AS v, j.key AS k FROM \(source(states: group)) WHERE \(conditions.text)")
      values += conditions.values
    }
    let direction = query.sort.isDescending ? "DESC" : "ASC"
    let order = part == .withoutEnd ? "k \(direction)" : "v \(direction), k \(direction)"
    return (texts.joined(separator: " UNION ALL ") + " ORDER BY \(order) LIMIT ? OFFSET ?", values)
  }

  /// How many there are in this part.
  func count() -> (text: String, values: [SQLValue]) {
    var conditions = Conditions()
    add(to: &conditions, states: states)
    return ("SELECT count(*) FROM \(source(states: states)) WHERE \(conditions.text)", conditions.values)
  }

  /// One search for each state when the index by state gives them in order; merging sorted parts beats sorting.
  private var stateGroups: [[JobState]] {
    states.isEmpty || query.sort.isByEnd || !query.labels.isEmpty ? [states] : states.map { [$0] }
  }

  private var labels: [(name: String, value: String)] {
    query.labels.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
  }

  private var drivesByLabel: Bool { !query.labels.isEmpty }

  private var sortColumn: String {
    switch (part, query.sort.isByEnd) {
    case (.withoutEnd, _): "0"
    case (.first, true): "j.completed_at"
    case (.first, false): drivesByLabel ? "l.created_at" : "j.created_at"
    }
  }

  private var keyColumn: String { drivesByLabel ? "l.job" : "j.key" }

  /// The first label drives: its rows stand in order of creation. CROSS JOIN keeps the planner from turning it round.
  private func source(states: [JobState]) -> String {
    if drivesByLabel { return "job_labels l CROSS JOIN jobs j ON j.key = l.job" }
    if query.sort.isByEnd { return "jobs j INDEXED BY jobs_completed" }
    return states.count == 1 ? "jobs j INDEXED BY jobs_state" : "jobs j INDEXED BY jobs_created"
  }

  private func addCursor(_ cursor: JobListCursor, to conditions: inout Conditions) {
    let comparison = query.sort.isDescending ? "<" : ">"
    if part == .withoutEnd {
      conditions.add("\(keyColumn) \(comparison) ?", [.int64(cursor.key)])
    } else {
      conditions.add("(\(sortColumn), \(keyColumn)) \(comparison) (?, ?)", [.int64(cursor.value), .int64(cursor.key)])
    }
  }

  private func add(to conditions: inout Conditions, states: [JobState]) {
    if let first = labels.first {
      conditions.add(
        "l.account = ? AND l.name = ? AND l.value = ?",
        [.id(query.account), .string(first.name), .string(first.value)])
    } else {
      conditions.add("j.account = ?", [.id(query.account)])
    }
    for label in labels.dropFirst() {
      conditions.add(
        """
        EXISTS (SELECT 1 FROM job_labels m WHERE m.account = ? AND m.name = ? AND m.value = ? \
        AND m.created_at = l.created_at AND m.job = l.job)
        """, [.id(query.account), .string(label.name), .string(label.value)])
    }
    if query.sort.isByEnd { conditions.add("j.completed_at IS \(part == .first ? "NOT NULL" : "NULL")", []) }
    if states.count == 1 {
      conditions.add("j.state = ?", [.int64(StateCode.number(states[0]))])
    } else if !states.isEmpty {
      // The numbers are constants of this program.
      let list = states.map { String(StateCode.number($0)) }.joined(separator: ", ")
      conditions.add("j.state IN (\(list))", [])
    }
    let created = drivesByLabel ? "l.created_at" : "j.created_at"
    if let from = query.from { conditions.add("\(created) >= ?", [.time(from)]) }
    if let until = query.until { conditions.add("\(created) < ?", [.time(until)]) }
    if let text = query.text, !text.isEmpty {
      let folded = SQLValue.string(JobSearch.fold(text))
      // Nobody's name holds the separator, so whoever looks for it finds nothing, not two neighbours.
      if text.contains(JobSearch.separator) { return conditions.add("0", []) }
      conditions.add("(instr(j.id, ?) > 0 OR instr(j.search, ?) > 0)", [folded, folded])
    }
  }
}

/// Conditions that must all hold, with their values in order.
private struct Conditions {
  private(set) var text = ""
  private(set) var values: [SQLValue] = []

  mutating func add(_ condition: String, _ more: [SQLValue]) {
    text += (text.isEmpty ? "" : " AND ") + condition
    values += more
  }
}
