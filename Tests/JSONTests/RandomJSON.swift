import JSON
import TestRandomness

extension SeededGenerator {
  /// A random value; `depth` bounds the nesting. With `isExact`, only numbers that every JSON library keeps exactly.
  mutating func json(depth: Int = 4, isExact: Bool = false) -> JSONValue {
    switch below(depth > 0 ? 8 : 6) {
    case 0: return .null
    case 1: return .bool(chance(oneIn: 2))
    case 2: return .integer(Int64.random(in: .min ... .max, using: &self) >> Int64(below(64)))
    case 3: return .decimal(isExact ? bigInteger() : decimal())
    case 4, 5: return .string(text())
    case 6: return .array((0..<below(6)).map { _ in json(depth: depth - 1, isExact: isExact) })
    default: return .object(object(depth: depth - 1, isExact: isExact))
    }
  }

  mutating func object(depth: Int, isExact: Bool) -> JSONObject {
    JSONObject((0..<below(14)).map { _ in (text(), json(depth: depth, isExact: isExact)) })
  }

  /// Text with quotes, controls, combining marks and characters outside the basic plane.
  mutating func text() -> String {
    let scalars: [ClosedRange<UInt32>] = [
      0x20...0x7E, 0x20...0x7E, 0x00...0x1F, 0x22...0x22, 0x5C...0x5C, 0x7F...0x7FF, 0x300...0x304, 0x2028...0x2029,
      0xE000...0xFFFF, 0x10000...0x10FFFF,
    ]
    var view = String.UnicodeScalarView()
    for _ in 0..<below(9) {
      let range = scalars[below(scalars.count)]
      if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &self)) { view.append(scalar) }
    }
    return String(view)
  }

  private mutating func bigInteger() -> String {
    (chance(oneIn: 2) ? "-" : "") + "9" + (0..<(19 + below(40))).map { _ in String(below(10)) }.joined()
  }

  private mutating func decimal() -> String {
    let whole = chance(oneIn: 2) ? "0" : String(1 + below(100_000))
    let fraction = "." + String(below(1_000_000))
    let exponent = chance(oneIn: 2) ? "" : ["e", "E", "e+", "e-"][below(4)] + String(below(400))
    return (chance(oneIn: 2) ? "-" : "") + whole + fraction + exponent
  }
}
