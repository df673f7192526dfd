/// Writes metrics in Prometheus' text format, version 0.0.4. Families are written one after another, each with all its
/// samples.
public struct Exposition: Sendable {
  public enum Kind: String, Sendable {
    case counter, gauge, histogram
  }

  public static let mediaType = "text/plain; version=0.0.4; charset=utf-8"

  /// What was written so far.
  public private(set) var text = ""
  private var name = ""

  public init() {}

  /// Begins a family; the samples that follow are its own.
  public mutating func family(_ name: String, _ kind: Kind, _ help: String) {
    self.name = name
    text += "# HELP \(name) \(Self.escaped(help))\n# TYPE \(name) \(kind.rawValue)\n"
  }

  /// - value: a number as it is to be read.
  public mutating func sample(_ labels: [(String, String)] = [], _ value: String) {
    line(name, labels, value)
  }

  public mutating func sample(_ labels: [(String, String)] = [], _ value: Int64) { line(name, labels, String(value)) }

  public mutating func sample(_ labels: [(String, String)] = [], _ histogram: Histogram) {
    let reading = histogram.reading
    for (bound, count) in zip(histogram.bounds, reading.cumulative) {
      line(name + "_bucket", labels + [("le", histogram.unit.text(bound))], String(count))
    }
    line(name + "_bucket", labels + [("le", "+Inf")], String(reading.count))
    line(name + "_sum", labels, histogram.unit.text(reading.sum))
    line(name + "_count", labels, String(reading.count))
  }

  /// A family of one sample.
  public mutating func gauge(_ name: String, _ help: String, _ value: Int64) {
    family(name, .gauge, help)
    sample(value)
  }

  /// A family of one sample.
  public mutating func counter(_ name: String, _ help: String, _ value: Int64) {
    family(name, .counter, help)
    sample(value)
  }

  private mutating func sample(_ value: Int64) { line(name, [], String(value)) }

  private mutating func line(_ name: String, _ labels: [(String, String)], _ value: String) {
    text += name
    if !labels.isEmpty {
      text += "{" + labels.map { "\($0)=\"\(Self.escaped($1, quotes: true))\"" }.joined(separator: ",") + "}"
    }
    text += " \(value)\n"
  }

  private static func escaped(_ text: String, quotes: Bool = false) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\"" where quotes: escaped += "\\\""
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
