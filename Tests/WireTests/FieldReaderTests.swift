import JSON
import Marketplace
import Testing
import Wire

@Suite struct FieldReaderTests {
  private func reader(_ text: String, at pointer: String = "") throws -> FieldReader {
    FieldReader(try JSONParser.parse(text), at: pointer)
  }

  /// RFC 6901 §3: `~` is `~0`, `/` is `~1`, nothing else is escaped.
  @Test(arguments: [
    ("a", "/a"), ("", "/"), ("a/b", "/a~1b"), ("m~n", "/m~0n"), ("~1", "/~01"), ("/~", "/~1~0"), ("~/", "/~0~1"),
    ("//", "/~1~1"), ("é \"", "/é \""), ("a\u{301}/", "/a\u{301}~1"),
  ])
  func pointers(name: String, pointer: String) throws {
    #expect(try reader("{}").pointer(to: name) == pointer)
    #expect(try reader("{}", at: "/jobs/3").pointer(to: name) == "/jobs/3" + pointer)
    var unknown = FieldReader(.object(JSONObject([(name, 1)])))
    #expect(unknown.finish() == [FieldError(pointer, "unknown field")])
  }

  /// A combining mark behind `/` makes one letter of both for Swift, not for RFC 6901.
  @Test func pointersByScalar() throws {
    let pointer = try reader("{}").pointer(to: "/\u{301}~\u{301}")
    #expect(Array(pointer.unicodeScalars) == Array("/~1\u{301}~0\u{301}".unicodeScalars))
  }

  @Test func pairsPointAtTheMember() throws {
    var fields = try reader(#"{"labels":{"a/b~c":1}}"#)
    #expect(fields.pairs("labels", count: 9, limit: 9) == nil)
    #expect(fields.errors.map(\.pointer) == ["/labels/a~1b~0c"])
  }

  @Test(arguments: ["1", "[]", "\"x\"", "null", "true"]) func notAnObject(text: String) throws {
    let value = try JSONParser.parse(text)
    var fields = FieldReader(value, at: "/payload")
    #expect(fields.string("a") == nil && !fields.has("a"))
    #expect(fields.finish() == [FieldError("/payload", "must be an object, not \(value.kind)")])
  }

  /// Absent and null are no fault anywhere.
  @Test(arguments: ["{}", #"{"a":null}"#]) func absent(text: String) throws {
    var fields = try reader(text)
    #expect(fields.value("a") == nil && fields.string("a") == nil && fields.bool("a") == nil)
    #expect(fields.integer("a", in: 1...2) == nil && fields.strings("a", count: 1, limit: 1) == nil)
    #expect(fields.pairs("a", count: 1, limit: 1) == nil && fields.money("a") == nil)
    #expect(fields.duration("a") == nil && fields.timestamp("a") == nil)
    #expect(fields.finish().isEmpty)
  }

  @Test func faultsAreCollectedInOrder() throws {
    var fields = try reader(#"{"name":1,"count":"x","flag":0,"extra":1,"other":2}"#)
    _ = fields.string("name")
    _ = fields.integer("count", in: 1...5)
    _ = fields.bool("flag")
    fields.allow("other")
    fields.fail("late", "is bad")
    fields.add([FieldError("/x/y", "nested")])
    #expect(
      fields.finish() == [
        FieldError("/name", "must be a string, not number"), FieldError("/count", "must be a whole number, not string"),
        FieldError("/flag", "must be true or false, not number"), FieldError("/late", "is bad"),
        FieldError("/x/y", "nested"), FieldError("/extra", "unknown field"),
      ])
  }

  private func string(_ value: JSONValue) -> (String?, String?) {
    var fields = FieldReader(["a": value])
    return (fields.string("a", limit: 4), fields.errors.first?.message)
  }

  @Test func strings() {
    #expect(string("abcd") == ("abcd", nil))
    #expect(string("éé") == ("éé", nil))
    #expect(string("abcde") == (nil, "is longer than 4 bytes"))
    #expect(string("ééx") == (nil, "is longer than 4 bytes"))
    #expect(string("a\0b") == (nil, "holds a NUL character"))
    #expect(string("") == ("", nil))
    #expect(string([]) == (nil, "must be a string, not array"))
  }

  private func integer(_ value: JSONValue) -> (Int64?, String?) {
    var fields = FieldReader(["a": value])
    return (fields.integer("a", in: 1...5), fields.errors.first?.message)
  }

  @Test func integers() {
    #expect(integer(1) == (1, nil) && integer(5) == (5, nil))
    for value: JSONValue in [0, 6, -1] { #expect(integer(value) == (nil, "must be between 1 and 5")) }
    #expect(integer(.decimal("1.0")) == (nil, "must be a whole number, not 1.0"))
    #expect(integer(.decimal("9223372036854775808")) == (nil, "must be a whole number, not 9223372036854775808"))
    #expect(integer("1") == (nil, "must be a whole number, not string"))
  }

  @Test func arraysOfStrings() throws {
    func read(_ text: String) throws -> ([String]?, FieldError?) {
      var fields = try reader(#"{"a":"# + text + "}")
      return (fields.strings("a", count: 2, limit: 3), fields.errors.first)
    }
    #expect(try read("[]") == ([], nil))
    #expect(try read(#"["abc",""]"#) == (["abc", ""], nil))
    #expect(try read(#"["a","b","c"]"#) == (nil, FieldError("/a", "has more than 2 elements")))
    let bad = FieldError("/a/1", "must be a string of at most 3 bytes without NUL")
    for text in [#"["a",1]"#, #"["a","abcd"]"#, #"["a","\u0000"]"#, #"["a",null]"#] {
      #expect(try read(text) == (nil, bad))
    }
    #expect(try read("1") == (nil, FieldError("/a", "must be an array of strings, not number")))
  }

  @Test func objectsOfStrings() throws {
    func read(_ text: String) throws -> ([String], String?) {
      var fields = try reader(#"{"a":"# + text + "}")
      let pairs = fields.pairs("a", count: 2, limit: 3)
      return ((pairs ?? []).map { $0.0 + "=" + $0.1 }, fields.errors.first?.pointer)
    }
    #expect(try read(#"{"x":"abc","y":""}"#) == (["x=abc", "y="], nil))
    #expect(try read(#"{"x":"1","y":"2","z":"3"}"#) == ([], "/a"))
    for text in [#"{"x":"abcd"}"#, #"{"x":1}"#, #"{"x":"\u0000"}"#] { #expect(try read(text) == ([], "/a/x")) }
    #expect(try read(#"{"":"v"}"#).1 == "/a/")
    let longest = String(repeating: "n", count: 256)
    #expect(try read("{\"\(longest)\":\"v\"}").1 == nil)
    #expect(try read("{\"\(longest)n\":\"v\"}").1 != nil)
    #expect(try read("[]").1 == "/a")
  }

  @Test(
    arguments: [
      (2, "2.000000"), (.decimal("0.025"), "0.025000"), ("2.5", "2.500000"), (0, "0.000000"), (-1, nil), ("-1", nil),
      (.decimal("1e2"), nil), (.decimal("0.0000001"), nil), ("", nil), (true, nil), ([], nil),
    ] as [(JSONValue, String?)])
  func money(value: JSONValue, amount: String?) {
    var fields = FieldReader(["a": value])
    #expect(fields.money("a")?.description == amount)
    #expect(fields.errors.isEmpty == (amount != nil))
  }

  @Test(
    arguments: [
      (90, 90), ("90", 90), ("30m", 1_800), ("2h", 7_200), (7_201, nil), ("3h", nil), (0, nil), (-5, nil), ("-5", nil),
      (.decimal("1.5"), nil), ("1.5h", nil), ("", nil), (true, nil), ([], nil),
    ] as [(JSONValue, Int64?)])
  func durations(value: JSONValue, seconds: Int64?) {
    var fields = FieldReader(["a": value])
    #expect(fields.duration("a", atMost: Seconds(7_200))?.whole == seconds)
    #expect(fields.errors.isEmpty == (seconds != nil))
  }

  @Test(
    arguments: [
      ("2026-02-13T10:00:00Z", 1_770_976_800_000), ("2026-02-13", 1_770_940_800_000),
      (1_770_976_800, 1_770_976_800_000),
      (0, 0), (253_402_300_799, 253_402_300_799_000), (253_402_300_800, nil), (-1, nil), ("yesterday", nil), ("", nil),
      (.decimal("1.5"), nil), ("2026-02-30", nil), (false, nil),
    ] as [(JSONValue, Int64?)])
  func timestamps(value: JSONValue, milliseconds: Int64?) {
    var fields = FieldReader(["a": value])
    #expect(fields.timestamp("a")?.milliseconds == milliseconds)
    #expect(fields.errors.isEmpty == (milliseconds != nil))
  }
}

@Suite struct ProblemTests {
  @Test func json() {
    let problem = Problem.invalid([FieldError("/a", "is bad"), FieldError("", "too")])
    #expect(
      problem.json(requestID: "r1").text
        == #"{"type":"urn:aitbc:problem:validation_error","title":"Unprocessable Content","status":422,"#
        + #""detail":"/a: is bad; body: too","code":"validation_error","request_id":"r1","retryable":false,"#
        + #""errors":[{"pointer":"/a","message":"is bad"},{"pointer":"","message":"too"}]}"#)
  }

  @Test func longListsAreCutInTheSentenceOnly() {
    let problem = Problem.invalid((0..<9).map { FieldError("/\($0)", "x") })
    #expect(problem.errors.count == 9 && problem.detail.hasSuffix("/4: x"))
  }

  @Test func retryable() {
    let problem = Problem(503, "busy", "try again", retryAfter: 2, extra: JSONObject([("hint", "h")]))
    let json = problem.json(requestID: "r")
    #expect(json["retryable"] == true && json["hint"] == "h" && json["title"] == "Service Unavailable")
    #expect(Problem.notFound("job").json(requestID: "r")["retryable"] == false)
    #expect(Problem.notFound("job").detail == "job not found" && Problem.notFound("job").status == 404)
  }

  @Test func readsBack() throws {
    let sent = Problem(409, "conflict", "no", errors: [FieldError("/a", "b")], retryAfter: 1)
    let read = try #require(Problem(status: 409, json: sent.json(requestID: "r")))
    #expect(read.status == 409 && read.code == "conflict" && read.detail == "no" && read.errors == sent.errors)
    #expect(read.isRetryable)
    #expect(read.extra["request_id"] == "r")
    #expect(Problem(status: 500, json: ["message": "x"]) == nil && Problem(status: 500, json: .null) == nil)
    #expect(Problem(status: 404, json: ["detail": "job not found"])?.code == "error")
  }

  @Test(arguments: [
    (400, "Bad Request"), (401, "Unauthorized"), (403, "Forbidden"), (404, "Not Found"), (405, "Method Not Allowed"),
    (409, "Conflict"), (410, "Gone"), (412, "Precondition Failed"), (413, "Content Too Large"),
    (415, "Unsupported Media Type"), (416, "Range Not Satisfiable"), (422, "Unprocessable Content"), (425, "Too Early"),
    (426, "Upgrade Required"), (429, "Too Many Requests"), (431, "Request Header Fields Too Large"),
    (500, "Internal Server Error"), (503, "Service Unavailable"), (507, "Insufficient Storage"),
  ])
  func titles(status: Int, title: String) {
    #expect(Problem(status, "c", "d").json(requestID: "")["title"] == .string(title))
    #expect(Problem(status, "c", "d").json(requestID: "")["status"] == .integer(Int64(status)))
  }
}
