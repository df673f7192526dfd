import Testing

@testable import aitbc

@Suite struct ArgumentTests {
  @Test(arguments: [
    (["client", "status", "X", "--url", "U"], ["client", "status", "X", "--url", "U"]),
    (["--url", "U", "client", "status", "X"], ["client", "status", "--url", "U", "X"]),
    (["client", "--json", "--url=U", "status", "X"], ["client", "status", "--json", "--url=U", "X"]),
    (["-v", "client", "-q", "list"], ["client", "list", "-v", "-q"]),
    (
      ["client", "--profile", "p", "config", "set", "url", "x"],
      ["client", "config", "set", "--profile", "p", "url", "x"]
    ),
    (["--output", "json", "client", "list"], ["client", "list", "--output", "json"]),
    (["client", "submit", "--", "x", "--url", "U"], ["client", "submit", "--", "x", "--url", "U"]),
    (["client", "--help"], ["client", "--help"]), (["--version"], ["--version"]), ([], []),
    (["--url"], ["--url"]), (["--url", "U", "coordinator"], ["--url", "U", "coordinator"]),
    (["client", "--frob", "status"], ["client", "--frob", "status"]),
  ])
  func globalOptionsMayStandBefore(_ given: [String], _ wanted: [String]) {
    #expect(ArgumentOrder.normalized(given) == wanted)
  }

  @Test(
    arguments: [
      ("0", 0), ("1", 1), ("1048576", 1 << 20), ("512KiB", 512 << 10), ("256MiB", 256 << 20), ("2GiB", 2 << 30),
      ("1TiB", 1 << 40), ("8388607TiB", 8_388_607 << 40), ("8388608TiB", nil), ("", nil), ("MiB", nil), ("-1", nil),
      ("1.5GiB", nil), ("1MB", nil), ("1 MiB", nil), ("1mib", nil), ("9999999999999999", nil), ("٣", nil),
    ] as [(String, Int64?)])
  func sizes(_ text: String, _ bytes: Int64?) { #expect(ByteSize(argument: text)?.bytes == bytes) }

  @Test func sizesAreShownAsPeopleWriteThem() {
    #expect(ByteSize(256 << 20).defaultValueDescription == "256MiB")
    #expect(ByteSize(1 << 40).defaultValueDescription == "1TiB")
    #expect(ByteSize(1000).defaultValueDescription == "1000" && ByteSize(0).defaultValueDescription == "0")
  }

  @Test(arguments: [
    ["frob"], ["client", "frob"], ["client", "status"], ["client", "status", "a", "--job-id", "b"],
    ["client", "status", "a", "b"], ["client", "status", "--frob", "a"], ["client", "list", "--status", "frob"],
    ["client", "list", "--status", "running,frob"], ["client", "list", "--days", "0"],
    ["client", "list", "--days", "x"],
    ["client", "list", "--limit", "0"], ["client", "list", "--limit", "501"],
    ["client", "list", "--from", "2026-02-30"], ["client", "list", "--from", "2026-02-02", "--to", "2026-02-01"],
    ["client", "list", "--label", "x"], ["client", "list", "--output", "frob"],
    ["client", "watch", "a", "--timeout", "0"],
    ["client", "watch", "a", "--timeout", "-5"], ["client", "watch", "a", "--timeout", "5x"],
    ["client", "logs", "a", "--stream", "both"], ["client", "logs", "a", "--tail", "-1"],
    ["client", "logs", "a", "--try", "0"],
    ["client", "verify"], ["client", "verify", "--file", "x", "--sha256", "12"],
    ["client", "artifacts", "a", "--to", "x"],
    ["client", "submit"], ["client", "submit", "--passthrough", "--", "x"],
    ["client", "submit", "--strict", "--", "x"],
    ["client", "submit", "--wait", "--dry-run", "--", "x"], ["client", "submit", "--batch", "f", "--wait"],
    ["client", "submit", "--model", "m", "--", "x"], ["client", "submit", "--env", "A", "--", "x"],
    ["client", "submit", "--priority", "frob", "--", "x"], ["client", "submit", "--payload", "[]", "--type", "noop"],
    ["client", "submit", "--payload", "{", "--type", "noop"], ["client", "submit", "--payload", "{}"],
    ["client", "submit", "--input", "/nonexistent/x", "--", "x"], ["client", "config", "get", "frob"],
    ["client", "config", "set", "frob", "x"], ["client", "config", "set", "url", "ftp://x"],
    ["client", "config", "set", "color", "red"], ["client", "config", "set", "timeout", "0"],
    ["client", "--color", "red", "list"], ["client", "list", "--url", "ftp://x"],
    ["client", "list", "--api-key", "a b"],
    ["client", "list", "--profile", "none"], ["client", "cancel", "job_1"],
  ])
  func usage(_ arguments: [String]) async {
    let context = CommandContext(output: Collector(), errors: Collector())
    var quiet = context
    let errors = Collector()
    quiet.errors = errors
    quiet.clock = StillClock()
    quiet.environment = ["HOME": "/nonexistent", "AITBC_URL": "http://127.0.0.1:1"]
    #expect(await Runner.run(arguments, in: quiet) == 2)
    #expect(errors.text.hasPrefix("error: "), "\(errors.text)")
  }

  @Test(arguments: [
    ["--help"], ["client", "--help"], ["client", "submit", "--help"], ["help", "client", "watch"], ["--version"],
  ])
  func answersOnStandardOutput(_ arguments: [String]) async {
    let output = Collector()
    let errors = Collector()
    #expect(await Runner.run(arguments, in: CommandContext(output: output, errors: errors)) == 0)
    #expect(!output.text.isEmpty)
    #expect(errors.text.isEmpty)
  }
}
