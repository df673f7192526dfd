/// Columns that line up; the last one is cut to the terminal's width.
struct TextTable {
  private let header: [String]
  private var rows: [[String]] = []

  init(_ header: String...) { self.init(header) }
  init(_ header: [String]) { self.header = header }

  mutating func add(_ cells: String...) { add(cells) }
  mutating func add(_ cells: [String]) { rows.append(cells.map(Printable.line)) }

  /// Lines without spaces at their ends. `width` nil: nothing is cut. `paint` colours a cell after it was measured.
  func lines(width: Int?, paint: (_ column: Int, _ cell: String, _ padded: String) -> String = { _, _, text in text })
    -> [String]
  {
    let all = [header] + rows
    let widths = header.indices.map { column in all.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return all.enumerated().map { number, row in
      var line = ""
      var used = 0
      for (column, cell) in row.enumerated() {
        let isLast = column == row.count - 1
        let room = width.map { max(1, $0 - used) }
        let text = isLast ? room.map { Printable.cut(cell, to: $0) } ?? cell : cell
        let padded = isLast ? text : text + String(repeating: " ", count: widths[column] - text.count + 2)
        line += number == 0 ? padded : paint(column, cell, padded)
        used += widths[column] + 2
      }
      while line.hasSuffix(" ") { line.removeLast() }
      return line
    }
  }
}
