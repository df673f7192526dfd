/// Columns that line up. Where they do not fit a terminal, the columns least needed are left out, the last one is cut,
/// and then the whole line is.
struct TextTable {
  private let header: [String]
  private var rows: [[String]] = []

  init(_ header: String...) { self.init(header) }
  init(_ header: [String]) { self.header = header }

  mutating func add(_ cells: String...) { add(cells) }
  mutating func add(_ cells: [String]) { rows.append(cells.map(Printable.line)) }

  /// Lines without spaces at their ends. `width` nil: nothing is cut or left out. `dispensable`: columns that may be
  /// left out, the first one first. `paint` colours a cell after it was measured.
  func lines(
    width: Int?, dispensable: [Int] = [],
    paint: (_ column: Int, _ cell: String, _ padded: String) -> String = { _, _, text in text }
  ) -> [String] {
    let all = [header] + rows
    let widths = header.indices.map { column in all.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    let columns = columns(widths, width: width, dispensable)
    return all.enumerated().map { number, row in
      var line = ""
      var room = width ?? .max
      for column in columns where column < row.count && room > 0 {
        let cell = Printable.cut(row[column], to: room)
        let isLast = column == columns.last || column == row.count - 1
        let padded = isLast ? cell : cell + String(repeating: " ", count: min(room, widths[column] + 2) - cell.count)
        line += number == 0 ? padded : paint(column, row[column], padded)
        room -= min(room, widths[column] + 2)
      }
      while line.hasSuffix(" ") { line.removeLast() }
      return line
    }
  }

  /// The columns that are shown. The last one has room for ``leastOfLast`` characters, if leaving others out can help.
  private func columns(_ widths: [Int], width: Int?, _ dispensable: [Int]) -> [Int] {
    var columns = Array(header.indices)
    guard let width else { return columns }
    let last = min(widths.last ?? 0, Self.leastOfLast)
    for column in dispensable where columns.dropLast().reduce(last, { $0 + widths[$1] + 2 }) > width {
      columns.removeAll { $0 == column }
    }
    return columns
  }

  private static let leastOfLast = 8
}
