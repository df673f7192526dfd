import Glibc

/// For exponential waits.
enum Logarithm {
  static func natural(_ value: Double) -> Double { log(value) }
}
