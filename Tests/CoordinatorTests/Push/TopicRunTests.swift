import Testing

@testable import Coordinator

@Suite struct TopicRunTests {
  typealias Run = TopicRun<Int64>

  static func entry(_ sequence: Int64, size: Int = 10) -> Run.Entry {
    Run.Entry(sequence: sequence, size: size, ended: nil, frame: sequence)
  }

  static func run(_ sequences: [Int64], after floor: Int64 = 0, count: Int = 4, bytes: Int = 1000) -> Run {
    var run = Run(after: floor, maximumCount: count, maximumBytes: bytes)
    for sequence in sequences { run.append(entry(sequence)) }
    return run
  }

  @Test func givesWhatComesAfter() {
    let run = Self.run([3, 5, 9])
    #expect(run.batch(after: 0, limit: 100)?.frames == [3, 5, 9])
    #expect(run.batch(after: 3, limit: 100)?.frames == [5, 9])
    #expect(run.batch(after: 4, limit: 100)?.frames == [5, 9])
    #expect(run.batch(after: 9, limit: 100)?.frames == [])
    #expect(run.batch(after: 50, limit: 100)?.frames == [])
  }

  @Test func keepsTheLimitAndNotOneMore() {
    var run = Self.run([1, 2, 3, 4])
    #expect(run.count == 4 && run.floor == 0)
    run.append(Self.entry(5))
    #expect(run.count == 4 && run.floor == 1)
    #expect(run.batch(after: 0, limit: 100) == nil)
    #expect(run.batch(after: 1, limit: 100)?.frames == [2, 3, 4, 5])
  }

  @Test func boundsBytesButKeepsTheNewest() {
    var run = Run(after: 0, maximumCount: 100, maximumBytes: 20)
    run.append(Self.entry(1, size: 10))
    run.append(Self.entry(2, size: 10))
    #expect(run.count == 2 && run.bytes == 20)
    run.append(Self.entry(3, size: 1))
    #expect(run.count == 2 && run.bytes == 11 && run.floor == 1)
    run.append(Self.entry(4, size: 500))
    #expect(run.count == 1 && run.floor == 3 && run.last == 4)
  }

  @Test func ignoresRepetitions() {
    var run = Self.run([3, 5], after: 2)
    run.append(Self.entry(5))
    run.append(Self.entry(1))
    #expect(run.count == 2 && run.endPosition == 2)
  }

  @Test func cutsBatchesAtTheLimit() throws {
    let run = Self.run([1, 2, 3, 4])
    let exact = try #require(run.batch(after: 0, limit: 20))
    #expect(exact.frames == [1, 2] && exact.sequence == 2 && exact.position == 2 && !exact.isWhole)
    let less = try #require(run.batch(after: 0, limit: 19))
    #expect(less.frames == [1] && !less.isWhole)
    let tooLarge = try #require(run.batch(after: 0, limit: 1))
    #expect(tooLarge.frames == [1])
    let whole = try #require(run.batch(after: 2, limit: 20))
    #expect(whole.frames == [3, 4] && whole.isWhole && whole.first == 3 && whole.position == 4)
  }

  @Test func positionsCountWhatWasForgotten() throws {
    let run = Self.run([1, 2, 3, 4, 5, 6])
    #expect(run.endPosition == 6)
    #expect(try #require(run.batch(after: 2, limit: 10)).position == 3)
  }
}

@Suite struct LatestRunTests {
  static func run(_ keys: [String]) -> LatestRun<String> {
    var run = LatestRun<String>()
    for (index, key) in keys.enumerated() { run.put(key, size: 10, frame: "\(key)\(index)") }
    return run
  }

  @Test func theLatestOfEachKeyInOrder() {
    let run = Self.run(["a", "b", "a", "c"])
    #expect(run.batch(after: 0, limit: 100).frames == ["b1", "a2", "c3"])
    #expect(run.batch(after: 2, limit: 100).frames == ["a2", "c3"])
    #expect(run.batch(after: 4, limit: 100).frames == [])
  }

  @Test func dropsWhatAnEventReplaced() {
    var run = Self.run(["a", "b"])
    run.drop("a")
    #expect(run.batch(after: 0, limit: 100).frames == ["b1"])
    run.drop("a")
    run.put("a", size: 1, frame: "again")
    #expect(run.batch(after: 2, limit: 100).frames == ["again"])
  }

  @Test func cutsAtTheLimitAndGoesOn() {
    let run = Self.run(["a", "b", "c"])
    let first = run.batch(after: 0, limit: 20)
    #expect(first.frames == ["a0", "b1"] && !first.isWhole)
    let second = run.batch(after: first.version, limit: 20)
    #expect(second.frames == ["c2"] && second.isWhole && second.version == run.version)
  }

  @Test func memoryIsBoundedByTheKeys() {
    var run = LatestRun<String>()
    for index in 0..<10_000 { run.put("key\(index % 7)", size: 10, frame: "\(index)") }
    #expect(run.count <= 7 * 2 + 16)
    #expect(run.batch(after: 0, limit: 1000).frames == (9993..<10_000).map(String.init))
    for index in 0..<7 { run.drop("key\(index)") }
    #expect(run.count <= 16)
    #expect(run.batch(after: 0, limit: 1000).frames == [])
  }
}
