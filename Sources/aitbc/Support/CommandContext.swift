import Clocks
import Glibc
import MarketplaceClient

/// Everything a command takes from the outside, so that tests can run one without a process.
struct CommandContext: Sendable {
  var output: any ByteOutput
  var errors: any ByteOutput
  /// Whether a person watches; decides on bars, colours and questions.
  var isInputTerminal = false
  var isOutputTerminal = false
  var isErrorTerminal = false
  /// Columns of the terminal.
  var width = 80
  var environment: [String: String] = [:]
  /// Without a slash at the end.
  var workingDirectory = "."
  var clock: any MarketClock = SystemClock()
  /// One line of the person's answer; nil at the end of input.
  var readLine: @Sendable () -> String? = { Swift.readLine() }
  var makeClient: @Sendable (ClientConfiguration) -> MarketplaceClient = { MarketplaceClient($0) }

  /// Set around a command's run.
  @TaskLocal static var current = CommandContext(output: Descriptor(1), errors: Descriptor(2))

  /// The process's own.
  static func process() -> CommandContext {
    var context = CommandContext(output: Descriptor(1), errors: Descriptor(2))
    context.isInputTerminal = isatty(0) == 1
    context.isOutputTerminal = isatty(1) == 1
    context.isErrorTerminal = isatty(2) == 1
    for descriptor in [Int32(1), 2] {
      var size = winsize()
      guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { continue }
      context.width = Int(size.ws_col)
      break
    }
    context.environment = EnvironmentReader.all()
    return context
  }

  /// Columns of standard output, or of standard error; nil, which bounds nothing, when it is no terminal.
  func width(forErrors: Bool = false) -> Int? { (forErrors ? isErrorTerminal : isOutputTerminal) ? width : nil }

  /// `path`, seen from the working directory.
  func resolve(_ path: String) -> String {
    path.hasPrefix("/") || workingDirectory == "." ? path : workingDirectory + "/" + path
  }
}

/// Where bytes go.
protocol ByteOutput: Sendable {
  /// Throws ``BrokenPipe`` when nobody reads any more.
  func write(_ bytes: [UInt8]) throws
}

extension ByteOutput {
  func line(_ text: String) throws { try write(Array((text + "\n").utf8)) }
  func text(_ text: String) throws { try write(Array(text.utf8)) }
}

/// The reader has gone: a quiet end, not an error.
struct BrokenPipe: Error {}

struct Descriptor: ByteOutput {
  private let number: Int32

  init(_ number: Int32) { self.number = number }

  func write(_ bytes: [UInt8]) throws {
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(number, $0.baseAddress.map { $0 + written }, bytes.count - written)
      }
      if count < 0 && errno == EINTR { continue }
      if count < 0 && errno == EPIPE { throw BrokenPipe() }
      guard count >= 0 else { throw ClientError.file(path: "standard output", operation: "write", code: errno) }
      written += count
    }
  }
}

enum EnvironmentReader {
  static func all() -> [String: String] {
    var result: [String: String] = [:]
    var entry = environ
    while let pointer = entry.pointee {
      let text = String(cString: pointer)
      if let equals = text.firstIndex(of: "=") {
        result[String(text[..<equals])] = String(text[text.index(after: equals)...])
      }
      entry += 1
    }
    return result
  }
}
