import JSON
import Marketplace
import Testing
import TestRandomness

@Suite struct SpecificationTests {
  /// What is not said is not stored.
  @Test func defaultsAreOmitted() {
    #expect(JobSpecification(runner: "noop").json.text == #"{"runner":"noop"}"#)
    let job = JobSpecification(runner: "noop")
    #expect(job.timeToLive == Seconds(900) && job.timeout == Seconds(3_600) && job.maxTries == 3)
    #expect(job.priority == .normal && !job.isStrict && !job.failsFast)
  }

  @Test func everyMember() throws {
    var job = JobSpecification(runner: "process", command: ["sh", "-c", "true"], payload: JSONObject([("k", 1)]))
    job.name = "n"
    job.environment = [EnvironmentVariable(name: "A", value: "b")]
    job.inputs = [JobInputFile(path: "in", sha256: "ff"), JobInputFile(path: "x", sha256: "00", isExecutable: true)]
    job.artifacts = ["out"]
    job.constraints.gpu = "A100"
    job.constraints.maximumPrice = Money(micros: 2_500_000)
    job.priority = .urgent
    job.timeToLive = Seconds(1)
    job.timeout = Seconds(2)
    job.maxTries = 4
    job.retryOn = [.exitNonzero, .timeout]
    job.runKey = "key"
    job.isStrict = true
    job.notBefore = Timestamp(milliseconds: 5)
    job.labels = ["b": "2", "a": "1"]
    job.failsFast = true
    job.payment = PaymentNote(amount: "1.50", currency: "AITBC")
    #expect(
      job.json.text
        == #"{"runner":"process","name":"n","command":["sh","-c","true"],"env":{"A":"b"},"inputs":[{"path":"in","#
        + #""sha256":"ff"},{"path":"x","sha256":"00","executable":true}],"artifacts":["out"],"payload":{"k":1},"#
        + #""constraints":{"gpu":"A100","max_price":"2.500000"},"priority":"urgent","ttl_seconds":1,"#
        + #""timeout_seconds":2,"max_tries":4,"retry_on":["EXIT_NONZERO","TIMEOUT"],"run_key":"key","strict":true,"not_before":5,"#
        + #""labels":{"a":"1","b":"2"},"fail_fast":true,"payment_amount":1.50,"payment_currency":"AITBC"}"#)
    #expect(JobSpecification(json: job.json) == job)
  }

  @Test(arguments: [UInt64.random(in: 0 ... .max), 1, 2]) func roundTrip(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<500 {
      let job = random.specification()
      #expect(JobSpecification(json: job.json) == job, "seed \(seed)")
      #expect(JobSpecification(json: try JSONParser.parse(job.json.encoded)) == job, "seed \(seed)")
      let fromCanonical = try #require(JobSpecification(json: try JSONParser.parse(job.canonical)))
      #expect(fromCanonical.canonical == job.canonical, "seed \(seed)")
    }
  }

  /// Different jobs have different bytes; the order in which members were written does not count.
  @Test(arguments: [UInt64.random(in: 0 ... .max)]) func canonicalEquality(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<500 {
      let job = random.specification()
      var reordered = job
      reordered.environment.shuffle(using: &random)
      reordered.payload = JSONObject(job.payload.members.map { ($0.name, $0.value) }.shuffled(using: &random))
      #expect(reordered.canonical == job.canonical, "seed \(seed)")
      var other = job
      let before = other
      random.changeOneThing(&other)
      #expect((other.canonical == before.canonical) == (other == before), "seed \(seed)")
    }
  }

  @Test(arguments: ["null", "[]", "{}", "1", #"{"runner":1}"#, #"{"command":["a"]}"#]) func damagedRows(text: String)
    throws
  {
    #expect(JobSpecification(json: try JSONParser.parse(text)) == nil)
  }
}

extension SeededGenerator {
  private mutating func word() -> String {
    ["", "a", "B", "ß", "e\u{301}", "\"", "\n", "😀", "k\(below(50))"][below(9)]
  }
  private mutating func maybe<T>(_ make: (inout Self) -> T) -> T? { chance(oneIn: 2) ? make(&self) : nil }
  private mutating func words() -> [String] { (0..<below(4)).map { _ in word() } }

  private mutating func labels() -> [String: String] {
    Dictionary((0..<below(4)).map { _ in ("l\(below(9))", word()) }, uniquingKeysWith: { $1 })
  }

  fileprivate mutating func specification() -> JobSpecification {
    var job = JobSpecification(runner: ["process", "noop", "inference"][below(3)], command: words())
    job.payload = JSONObject(
      (0..<below(4)).map { ("p\($0)", chance(oneIn: 2) ? .integer(Int64(below(9))) : ["q": .string(word())]) })
    job.name = maybe { $0.word() }
    job.environment = (0..<below(4)).map { EnvironmentVariable(name: "E\($0)", value: word()) }
    job.inputs = (0..<below(3)).map { JobInputFile(path: "f\($0)", sha256: word(), isExecutable: chance(oneIn: 2)) }
    job.artifacts = words()
    if chance(oneIn: 2) { job.constraints = constraints() }
    job.priority = Priority.allCases[below(4)]
    if chance(oneIn: 2) { job.timeToLive = Seconds(Int64(1 + below(100_000))) }
    if chance(oneIn: 2) { job.timeout = Seconds(Int64(1 + below(100_000))) }
    job.maxTries = 1 + below(5)
    job.runKey = maybe { $0.word() }
    job.isStrict = chance(oneIn: 2)
    job.notBefore = maybe { Timestamp(milliseconds: Int64.random(in: -1...253_402_300_799_999, using: &$0)) }
    job.labels = labels()
    job.failsFast = chance(oneIn: 2)
    job.payment = maybe {
      PaymentNote(amount: ["0", "1.50", "1e3", "123456789012345678901"][$0.below(4)], currency: $0.word())
    }
    return job
  }

  private mutating func constraints() -> Constraints {
    var wanted = Constraints()
    wanted.gpu = maybe { $0.word() }
    wanted.gpuCount = maybe { $0.below(9) }
    wanted.minimumVRAM = maybe { $0.below(99) }
    wanted.cuda = maybe { $0.word() }
    wanted.models = words()
    wanted.region = maybe { $0.word() }
    wanted.maximumPrice = maybe { Money(micros: Int64.random(in: 0...Money.largestInput.micros, using: &$0)) }
    wanted.labels = labels()
    wanted.cpus = maybe { $0.below(99) }
    wanted.memoryMiB = maybe { $0.below(99) }
    wanted.network = chance(oneIn: 2)
    return wanted
  }

  fileprivate mutating func changeOneThing(_ job: inout JobSpecification) {
    switch below(12) {
    case 0: job.runner += "x"
    case 1: job.command.append(word())
    case 2: job.name = (job.name ?? "") + "x"
    case 3: job.environment.append(EnvironmentVariable(name: "NEW", value: word()))
    case 4: job.priority = Priority.allCases[below(4)]
    case 5: job.timeToLive = Seconds(Int64(1 + below(3)) * 450)
    case 6: job.maxTries = 1 + below(5)
    case 7: job.constraints.network.toggle()
    case 8: job.isStrict.toggle()
    case 9: job.labels["l\(below(9))"] = word()
    case 10: job.payload["p\(below(4))"] = .integer(Int64(below(9)))
    default: job.constraints.gpuCount = maybe { $0.below(9) }
    }
  }
}
