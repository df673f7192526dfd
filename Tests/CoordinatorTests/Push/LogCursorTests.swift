import Marketplace
import Testing
import TestRandomness
import Wire

@testable import Coordinator

/// The length is exact; the digest is only passed through.
func logFact(of bytes: [UInt8]) -> LogFact {
  LogFact(length: Int64(bytes.count), sha256: String(repeating: "a", count: 64))
}

@Suite struct LogCursorTests {
  static let job = Known.job(1)

  static func cursor(_ state: LogState, offsets: [LogStream: Int64] = [:]) -> LogCursor {
    var cursor = LogCursor(job: job, offsets: offsets)
    cursor.load(state)
    return cursor
  }

  static func state(_ length: Int64, fact: LogFact? = nil, isTerminal: Bool = false) -> LogState {
    LogState(
      tryNumber: 1, lengths: [.stdout: length], facts: fact.map { [.stdout: $0] } ?? [:], isTerminal: isTerminal)
  }

  static func read(_ step: LogStep) -> LogRead? { if case .read(let read) = step { read } else { nil } }
  static func piece(_ step: LogStep) -> LogPiece? { if case .piece(let piece) = step { piece } else { nil } }

  @Test func nothingBeforeTheStateIsKnown() {
    var cursor = LogCursor(job: Self.job, offsets: [:])
    cursor.merge(tryNumber: 1, stream: .stdout, length: 10, fact: nil)
    #expect(cursor.next(limit: 100) == .nothing && !cursor.isFinished)
  }

  @Test func readsFromTheOffsetInPieces() throws {
    var cursor = Self.cursor(Self.state(10), offsets: [.stdout: 3])
    let first = try #require(Self.read(cursor.next(limit: 4)))
    #expect(first == LogRead(job: Self.job, tryNumber: 1, stream: .stdout, offset: 3, limit: 4))
    let taken = cursor.took(Array("abcd".utf8), for: first)
    let piece = try #require(taken)
    #expect(piece.offset == 3 && piece.data.count == 4 && piece.end == nil)
    #expect(try #require(Self.read(cursor.next(limit: 100))).limit == 3)
  }

  @Test func theLastPieceCarriesTheEnd() throws {
    let text = Array("hello".utf8)
    var cursor = Self.cursor(Self.state(5, fact: logFact(of: text)))
    let read = try #require(Self.read(cursor.next(limit: 100)))
    #expect(cursor.took(text, for: read)?.end == logFact(of: text))
    #expect(cursor.next(limit: 100) == .nothing)
  }

  @Test func anEmptyOrFinishedStreamStillGetsItsEnd() throws {
    var cursor = Self.cursor(Self.state(0, fact: .empty))
    let piece = try #require(Self.piece(cursor.next(limit: 100)))
    #expect(piece.data.isEmpty && piece.offset == 0 && piece.end == .empty)
    #expect(cursor.next(limit: 100) == .nothing)
    var beyond = Self.cursor(Self.state(5, fact: logFact(of: Array("hello".utf8))), offsets: [.stdout: 99])
    #expect(Self.piece(beyond.next(limit: 100))?.offset == 5)
  }

  @Test func tornCharactersWaitForTheirRest() throws {
    let text = Array("a€".utf8)
    var cursor = Self.cursor(Self.state(3))
    let read = try #require(Self.read(cursor.next(limit: 100)))
    #expect(cursor.took(Array(text[..<3]), for: read)?.data == Array("a".utf8))
    #expect(cursor.next(limit: 100) == .nothing)
    cursor.merge(tryNumber: 1, stream: .stdout, length: 4, fact: nil)
    let rest = try #require(Self.read(cursor.next(limit: 100)))
    #expect(rest.offset == 1)
    #expect(cursor.took(Array(text[1...]), for: rest)?.data == Array("€".utf8))
  }

  @Test func aTornEndIsSentAllTheSame() throws {
    let bytes: [UInt8] = [0x61, 0xE2, 0x82]
    var cursor = Self.cursor(Self.state(3))
    let read = try #require(Self.read(cursor.next(limit: 100)))
    _ = cursor.took(bytes, for: read)
    cursor.merge(tryNumber: 1, stream: .stdout, length: 3, fact: logFact(of: bytes))
    let rest = try #require(Self.read(cursor.next(limit: 100)))
    let taken = cursor.took(Array(bytes[1...]), for: rest)
    let piece = try #require(taken)
    #expect(piece.data == [0xE2, 0x82] && piece.end != nil)
  }

  @Test func staleReadsAreDropped() throws {
    var cursor = Self.cursor(Self.state(10))
    let read = try #require(Self.read(cursor.next(limit: 4)))
    #expect(cursor.took(Array("abcd".utf8), for: read) != nil)
    #expect(cursor.took(Array("abcd".utf8), for: read) == nil)
  }

  @Test func finishesOnlyWhenTheJobHas() {
    var cursor = Self.cursor(Self.state(0))
    #expect(!cursor.isFinished)
    cursor.load(Self.state(0, isTerminal: true))
    #expect(cursor.isFinished, "a lost try has no end records")
    var noTry = LogCursor(job: Self.job, offsets: [:])
    noTry.load(LogState(tryNumber: 0, lengths: [:], facts: [:], isTerminal: true))
    #expect(noTry.isFinished)
  }

  @Test func aNewTryFollowsTheOldOne() throws {
    var cursor = Self.cursor(Self.state(4), offsets: [.stdout: 2])
    cursor.merge(tryNumber: 2, stream: .stdout, length: 6, fact: nil)
    let old = try #require(Self.read(cursor.next(limit: 100)))
    #expect(old.tryNumber == 1 && old.offset == 2)
    #expect(cursor.took(Array("cd".utf8), for: old) != nil)
    let new = try #require(Self.read(cursor.next(limit: 100)))
    #expect(new.tryNumber == 2 && new.offset == 0 && new.limit == 6)
    cursor.merge(tryNumber: 1, stream: .stdout, length: 50, fact: nil)
    #expect(Self.read(cursor.next(limit: 100))?.tryNumber == 2)
  }

  @Test func triesAreBounded() {
    var extents: [LogExtent] = []
    for number in 1...1000 { extents.merge(tryNumber: number, stream: .stdout, length: 1, fact: nil) }
    #expect(extents.count == [LogExtent].maximumTries)
    #expect(extents.first?.tryNumber == 1 && extents.last?.tryNumber == 1000)
  }

  /// Bytes appear in random steps over several tries, news may be late, reads may be short.
  @Test(arguments: UInt64(1)...200)
  func everyByteOnceAndInOrder(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var world = LogWorld(seed: seed, tries: Int.random(in: 1...3, using: &generator))
    for _ in 0..<2000 where !world.isOver { world.step() }
    #expect(world.isOver && world.cursor.isFinished, "seed \(seed)")
    #expect(world.faults.isEmpty, "seed \(seed)")
    #expect(world.shown == world.whole, "seed \(seed)")
  }
}

private struct LogWorld {
  var generator: SeededGenerator
  var whole: [String: [UInt8]] = [:]
  var written: [String: Int] = [:]
  var current = 1
  let tries: Int
  var isTerminal = false
  var cursor = LogCursor(job: LogCursorTests.job, offsets: [:])
  var shown: [String: [UInt8]] = [:]
  var ends: Set<String> = []
  var faults: [String] = []

  static let texts = ["Grüße 🙂 ", "plain ", "世界", "\u{FFFD}\n"]

  init(seed: UInt64, tries: Int) {
    generator = SeededGenerator(seed: seed)
    self.tries = tries
    for number in 1...tries {
      for stream in LogStream.allCases {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 0...20, using: &generator) {
          bytes += Array((Self.texts.randomElement(using: &generator) ?? "").utf8)
          if generator.chance(percent: 10) { bytes.append(UInt8.random(in: 0...255, using: &generator)) }
        }
        whole[key(number, stream)] = bytes
      }
    }
    cursor.load(LogState(tryNumber: 1, lengths: [:], facts: [:], isTerminal: false))
  }

  func key(_ number: Int, _ stream: LogStream) -> String { "\(number) \(stream.rawValue)" }
  var isOver: Bool { isTerminal && cursor.isFinished }

  mutating func step() {
    let stream: LogStream = generator.chance(percent: 50) ? .stdout : .stderr
    switch Int.random(in: 0..<4, using: &generator) {
    case 0: write(stream)
    case 1: end()
    default: read()
    }
  }

  mutating func write(_ stream: LogStream) {
    let key = key(current, stream)
    let total = whole[key]?.count ?? 0
    let length = min(total, (written[key] ?? 0) + Int.random(in: 1...9, using: &generator))
    written[key] = length
    cursor.merge(tryNumber: current, stream: stream, length: Int64(length), fact: nil)
  }

  mutating func end() {
    guard !isTerminal,
      LogStream.allCases.allSatisfy({ written[key(current, $0)] ?? 0 == whole[key(current, $0)]?.count })
    else { return }
    for stream in LogStream.allCases {
      let bytes = whole[key(current, stream)] ?? []
      cursor.merge(tryNumber: current, stream: stream, length: Int64(bytes.count), fact: logFact(of: bytes))
    }
    if current < tries {
      current += 1
      return
    }
    isTerminal = true
    cursor.load(LogState(tryNumber: current, lengths: [:], facts: [:], isTerminal: true))
  }

  mutating func read() {
    switch cursor.next(limit: Int.random(in: 4...16, using: &generator)) {
    case .nothing: break
    case .piece(let piece): show(piece)
    case .read(let read):
      let bytes = whole[key(read.tryNumber, read.stream)] ?? []
      let short = generator.chance(percent: 20) ? Int.random(in: 1...read.limit, using: &generator) : read.limit
      if let piece = cursor.took(Array(bytes.dropFirst(Int(read.offset)).prefix(short)), for: read) { show(piece) }
    }
  }

  mutating func show(_ piece: LogPiece) {
    let key = key(piece.tryNumber, piece.stream)
    if ends.contains(key) { faults.append("more after the end of \(key)") }
    if piece.offset != Int64(shown[key]?.count ?? 0) { faults.append("\(key) jumps to \(piece.offset)") }
    shown[key, default: []] += piece.data
    guard let end = piece.end else { return }
    ends.insert(key)
    if end.length != Int64(shown[key]?.count ?? 0) { faults.append("\(key) ends early") }
  }
}
