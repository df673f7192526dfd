import ArgumentParser
import Testing

@testable import aitbc

@Suite struct ArgumentTests {
  /// An error tells what is taken, and so does the help.
  @Test(arguments: [
    (["client", "share", "job_1", "--expires", "20y"], "at most 3660d", "1s to 3660d"),
    (["client", "share", "job_1", "--expires", "0"], "a positive whole number", "1s to 3660d"),
    (["client", "share", "job_1", "--max-downloads", "0"], "between 1 and 1000000000", "1 to 1000000000"),
    (["client", "submit", "--ttl", "367d", "--", "x"], "at most 366d", "1s to 366d"),
    (["client", "cancel", "job_1", "--grace", "2h"], "at most 1h", "1s to 1h"),
    (["coordinator", "--lease", "61m"], "at most 1h", "at most 1h. Default 15s"),
    (["coordinator", "--disk-floor", "1GB"], "512KiB", "Default 256MiB"),
    (["miner", "--drain-timeout", "31d"], "at most 30d", "Default 5m"),
    (["miner", "--slots", "0"], "between 1 and 10000", "1 to 10000"),
  ])
  func boundsAreTold(_ words: [String], _ bound: String, _ helped: String) async {
    // Only parsed: a daemon must not start here.
    do {
      _ = try Aitbc.parseAsRoot(words)
      Issue.record("it was taken")
    } catch {
      #expect(Aitbc.exitCode(for: error) == .validationFailure)
      #expect(Aitbc.fullMessage(for: error).contains(bound), "\(Aitbc.fullMessage(for: error))")
    }
    let help = await run(Array(words.prefix(words[0] == "client" ? 2 : 1)) + ["--help"])
    #expect(help.code == 0 && help.output.split { $0.isWhitespace }.joined(separator: " ").contains(helped))
  }

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

  @Test(arguments: [
    (["client", "statu", "x"], "aitbc client has no command statu", "did you mean status or stats? "),
    (["client", "--json", "stauts"], "aitbc client has no command stauts", "did you mean stats or status? "),
    (["--url", "U", "client", "artif"], "aitbc client has no command artif", "did you mean artifacts? "),
    (["cleint"], "aitbc has no command cleint", "did you mean client? "),
    (["client", "ls"], "aitbc client has no command ls", "aitbc client --help lists"),
    (["client", "a b"], "aitbc client has no command 'a b'", "aitbc client --help lists"),
    (["admin", "account", "creat"], "aitbc admin account has no command creat", "did you mean create? "),
    (["client", "config", "sett", "url", "x"], "aitbc client config has no command sett", "did you mean set? "),
  ])
  func unknownCommands(_ words: [String], _ error: String, _ hint: String) async {
    let end = await run(words)
    #expect(end.code == 2)
    let lines = end.errors.split(separator: "\n")
    #expect(lines.count == 2 && lines[0] == "error: \(error)" && lines[1].hasPrefix("hint: \(hint)"), "\(lines)")
  }

  @Test(arguments: [[], ["client"], ["client", "status"], ["client", "--frob", "statu"], ["help", "clien"], ["-x"]])
  func otherMistakesAreNotTheCommand(_ words: [String]) { #expect(UnknownCommand(words) == nil) }

  @Test(arguments: [
    ("", "", 0), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1),
    ("abc", "xabc", 1), ("abc", "axc", 1), ("kitten", "sitting", 3), ("ca", "abc", 3), ("stauts", "status", 1),
  ])
  func distances(_ left: String, _ right: String, _ wanted: Int) {
    #expect(UnknownCommand.distance(Array(left), Array(right)) == wanted)
    #expect(UnknownCommand.distance(Array(right), Array(left)) == wanted)
  }

  @Test(
    arguments: [
      ("0", 0), ("1", 1), ("1048576", 1 << 20), ("512KiB", 512 << 10), ("256MiB", 256 << 20), ("2GiB", 2 << 30),
      ("1TiB", 1 << 40), ("8388607TiB", 8_388_607 << 40), ("8388608TiB", nil), ("", nil), ("MiB", nil), ("-1", nil),
      ("1.5GiB", nil), ("1MB", nil), ("1 MiB", nil), ("1mib", nil), ("9999999999999999", nil), ("٣", nil),
    ] as [(String, Int64?)])
  func sizes(_ text: String, _ bytes: Int64?) { #expect((try? ByteSize.read(text))?.bytes == bytes) }

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
