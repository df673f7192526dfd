import JSON
import Marketplace
import MarketplaceClient
import Testing

@testable import aitbc

@Suite struct FormatTests {
  @Test func yaml() throws {
    let value = try JSONParser.parse(
      #"{"a":1,"b":[1,{"c":null,"d":[]},[2,3]],"e":{},"f":{"g":0.25},"yes":"no","n":"12","s":"a: b","k v":"x","t":true,"empty":""}"#
    )
    #expect(
      YAMLWriter.text(value) == """
        a: 1
        b:
          - 1
          - c: null
            d: []
          - - 2
            - 3
        e: {}
        f:
          g: 0.25
        "yes": "no"
        "n": "12"
        s: "a: b"
        "k v": x
        t: true
        empty: ""

        """)
    #expect(YAMLWriter.text([]) == "[]\n")
    #expect(YAMLWriter.text("x") == "x\n")
  }

  @Test(arguments: [
    "null", "True", "~", "1e3", "0x1", "-", "a #b", "#", "[x", "@x", "a\nb", "\u{85}", "\u{2028}", "2026-01-01", "*a",
    "&a", " a", "a ", "a:",
  ])
  func yamlQuotes(_ text: String) {
    let written = YAMLWriter.scalar(text)
    #expect(written.hasPrefix("\"") && written.hasSuffix("\""))
    #expect((try? JSONParser.parse(written)) == .string(text))
  }

  @Test(arguments: [
    (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1 << 20, "1.0 MiB"), (3 << 30, "3.0 GiB"),
  ])
  func bytes(_ count: Int64, _ text: String) { #expect(Printable.bytes(count) == text) }

  @Test(arguments: [(0, "0:00"), (7, "0:07"), (65, "1:05"), (3600, "1:00:00"), (90_061, "1d 1:01:01"), (-5, "0:00")])
  func durations(_ seconds: Int64, _ text: String) { #expect(Printable.duration(seconds) == text) }

  @Test func controlCharactersStayOut() {
    #expect(Printable.line("a\u{1B}[31mb\nc\td\u{9B}e\u{202E}f") == "a?[31mb c d?e?f")
    #expect(Printable.cut("abcdef", to: 4) == "abc…")
    #expect(Printable.cut("abcd", to: 4) == "abcd")
    #expect(Printable.cut("abcd", to: 0) == "")
  }

  @Test func bar() {
    var state = ProgressBar.State(status: "running", progress: 45, message: "epoch 3", elapsed: 20, remaining: 24)
    #expect(ProgressBar.line(state, width: 80) == "running [#########-----------] 45% 0:20 ETA 0:24 2.25%/s  epoch 3")
    state.message = String(repeating: "x", count: 300) + "\n"
    for width in [1, 2, 20, 40, 80, 200] { #expect(ProgressBar.line(state, width: width).count <= max(1, width - 1)) }
    #expect(ProgressBar.remaining(progress: 25, elapsed: 10) == 30)
    #expect(ProgressBar.remaining(progress: 0, elapsed: 10) == nil)
    #expect(ProgressBar.remaining(progress: 100, elapsed: 10) == nil)
  }

  @Test func tablesLineUpAndAreCut() {
    var table = TextTable("A", "LONG", "LAST")
    table.add("1", "x", "abcdefgh")
    table.add("22", "yyyyyy", "")
    #expect(table.lines(width: nil) == ["A   LONG    LAST", "1   x       abcdefgh", "22  yyyyyy"])
    #expect(table.lines(width: 16)[1] == "1   x       abc…")
  }

  /// On a terminal nothing is wider than it, and the id stays whole for as long as it fits; in a pipe all is there.
  @Test(arguments: [
    (40, ["JOB", "STATUS"]), (60, ["JOB", "STATUS", "DONE", "NAME"]),
    (80, ["JOB", "STATUS", "DONE", "RAN", "COST", "NAME"]),
    (200, ["JOB", "STATUS", "DONE", "CREATED", "RAN", "COST", "NAME"]),
  ])
  func listsFitTheTerminal(_ width: Int, _ columns: [String]) throws {
    let id = "job_01k2z0000000000000000000aa"
    let text = document().replacing("job_1", with: id).replacing(#""name":"n""#, with: #""name":"a name that is long""#)
    let job = try #require(JobSnapshot(json: try JSONParser.parse(text)))
    let style = Style(choice: .never, isTerminal: true, [:])
    let now = Timestamp(milliseconds: 1_770_000_000_000)
    let lines = JobOutput.table([job], style, width: width, now: now)
    #expect(lines.allSatisfy { $0.count <= width }, "\(lines)")
    #expect(lines[0].split(separator: " ").map(String.init) == columns)
    #expect(lines[1].hasPrefix(id + "  comp"))
    #expect(width == 200 || lines[1].contains("…"))
    let whole = JobOutput.table([job], style, width: nil, now: now)
    #expect(whole[1].hasSuffix("0.001250  a name that is long"))
  }

  @Test func longLinesBreakAtSpaces() {
    let text = "job_1 failed after 0:03: EXIT_NONZERO: exit code 3"
    #expect(Printable.wrapped(text, to: 24) == ["job_1 failed after 0:03:", "  EXIT_NONZERO: exit", "  code 3"])
    #expect(Printable.wrapped(text, to: nil) == [text])
    #expect(Printable.wrapped("abcdefgh i", to: 4) == ["abcdefgh", "  i"])
    #expect(Printable.wrapped("", to: 4) == [""])
  }

  @Test(
    arguments: [
      (ColorChoice.auto, true, [:], true), (.auto, false, [:], false), (.auto, true, ["NO_COLOR": "1"], false),
      (.auto, true, ["NO_COLOR": ""], true), (.auto, false, ["CLICOLOR_FORCE": "1"], true),
      (.auto, false, ["CLICOLOR_FORCE": "0"], false), (.auto, true, ["CLICOLOR": "0"], false),
      (.auto, true, ["TERM": "dumb"], false), (.always, false, ["NO_COLOR": "1"], true),
      (.never, true, ["CLICOLOR_FORCE": "1"], false),
    ] as [(ColorChoice, Bool, [String: String], Bool)])
  func colors(_ choice: ColorChoice, _ isTerminal: Bool, _ environment: [String: String], _ isColored: Bool) {
    #expect(Style(choice: choice, isTerminal: isTerminal, environment).isColored == isColored)
  }
}
