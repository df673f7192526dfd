import Foundation
import JSON
import Testing
import TestRandomness

private let python = "/usr/bin/python3"

/// Another library's opinion: CPython's `json`, where it is installed.
@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: python))) struct PythonTests {
  private static let script = """
    import json, sys
    with open(sys.argv[1], encoding="utf-8", newline="\\n") as lines:
        for line in lines.read().split("\\n")[:-1]:
            value = json.loads(line)
            canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
            sys.stdout.buffer.write(canonical.encode() + b"\\n" + json.dumps(value).encode() + b"\\n")
    """

  /// What we write, Python reads; its sorted form is our canonical form; and what it writes with escapes, we read.
  @Test(arguments: [UInt64.random(in: 0 ... .max)]) func agreesOnRandomValues(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let values = (0..<500).map { _ in random.json(isExact: true) }
    let answers = try run(lines: values.map(\.text))
    try #require(answers.count == values.count * 2, "seed \(seed)")
    for (index, value) in values.enumerated() {
      #expect(answers[index * 2] == value.canonical, "seed \(seed)")
      #expect(try JSONParser.parse(answers[index * 2 + 1]) == value, "seed \(seed)")
    }
  }

  private func run(lines: [String]) throws -> [[UInt8]] {
    let file = FileManager.default.temporaryDirectory.appending(path: "json-\(UUID().uuidString)")
    try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let process = Process()
    process.executableURL = URL(filePath: python)
    process.arguments = ["-c", Self.script, file.path]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let bytes = [UInt8](try output.fileHandleForReading.readToEnd() ?? Data())
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return bytes.split(separator: UInt8(ascii: "\n")).map(Array.init)
  }
}
