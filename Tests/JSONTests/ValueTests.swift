import JSON
import Testing

@Suite struct ValueTests {
  @Test func accessors() {
    let all: [JSONValue] = [.null, true, 7, .decimal("0.5"), "s", [1], ["a": 1]]
    #expect(all.map(\.kind) == ["null", "boolean", "number", "number", "string", "array", "object"])
    #expect(all.map(\.isNull) == [true, false, false, false, false, false, false])
    #expect(all.map(\.bool) == [nil, true, nil, nil, nil, nil, nil])
    #expect(all.map(\.integer) == [nil, nil, 7, nil, nil, nil, nil])
    #expect(all.map(\.numberText) == [nil, nil, "7", "0.5", nil, nil, nil])
    #expect(all.map(\.string) == [nil, nil, nil, nil, "s", nil, nil])
    #expect(all.map(\.array) == [nil, nil, nil, nil, nil, [1], nil])
    #expect(all.map { $0["a"] } == [nil, nil, nil, nil, nil, nil, 1])
    #expect(JSONValue(String?.none) == .null && JSONValue(Int?.none) == .null && JSONValue(Int64?.none) == .null)
    #expect(JSONValue(String?("x")) == "x" && JSONValue(Int?(3)) == 3 && JSONValue(Int64?(3)) == 3)
  }

  @Test func objectKeepsOrderAndUniqueNames() {
    var object = JSONObject([("b", 1), ("a", 2), ("b", 3)])
    #expect(object.members.map(\.name) == ["b", "a"])
    #expect(object["b"] == 3)
    object["c"] = 4
    object["b"] = nil
    object["missing"] = nil
    #expect(object.members.map(\.name) == ["a", "c"])
    object.append("d", 5)
    #expect(JSONValue.object(object).text == #"{"a":2,"c":4,"d":5}"#)
    #expect(!object.isEmpty && JSONObject().isEmpty)
  }

  @Test func objectComparesNamesByBytes() {
    var object = JSONObject([("\u{E9}", 1), ("e\u{301}", 2)])
    object["\u{E9}"] = 3
    #expect(object.members.map(\.value) == [3, 2])
    object["e\u{301}"] = nil
    #expect(object.members.map(\.value) == [3])
  }
}
