import JSON
import Marketplace
import Testing
import Wire

@Suite struct MinerChannelTests {
  private static let digest = String(repeating: "0a", count: 32)
  private static let miner = MinerID("miner_01kgdzvwg0abcdefghjkmnpqrs")
  private static let job = JobID("job_01kgdzvwg0abcdefghjkmnpqrs")

  private static let hello: MinerHello = {
    var offer = MinerOffer(runners: ["noop", "process"], slots: 2)
    offer.gpus = [GPUDevice(name: "RTX 4090", memoryMiB: 24_576)]
    offer.price = Money(micros: 1)
    return MinerHello(
      instance: String(repeating: "s", count: 43), name: "rig", version: "1.0", offer: offer, isFresh: false,
      held: [HeldLease(lease: "lt_a", isStarted: true), HeldLease(lease: "lt_b", isStarted: false)],
      publicKey: String(repeating: "k", count: 43))
  }()

  private static let full = TryReport(
    lease: "lt_a", exitCode: 3, error: JobError(.exitNonzero, "exit 3"), result: ["k": [1]],
    usage: Usage(wallMilliseconds: 1, userMilliseconds: 2, systemMilliseconds: 3, maximumResidentKiB: 4),
    artifacts: [ArtifactFact(path: "a/b", size: 5, sha256: digest)], stdout: LogFact(length: 6, sha256: digest),
    stderr: LogFact(length: 7, sha256: digest),
    signature: SignatureFact(keyID: String(repeating: "k", count: 43), signature: String(repeating: "s", count: 86)))

  /// Every case, with and without what may be missing.
  /// What can't be meant says nothing; a report without it is of now.
  @Test(
    arguments: [
      ("0", 0), ("1500", 1500), ("-1", nil), ("9223372036854775807", nil), ("1.5", nil), ("\"1\"", nil), ("null", nil),
    ] as [(String, Int64?)])
  func ages(_ text: String, _ milliseconds: Int64?) throws {
    let json = try JSONParser.parse(#"{"type":"done","lease_token":"l","ended_ms_ago":\#(text)}"#)
    guard case .done(let report) = try MinerMessage(json: json) else { return #expect(Bool(false)) }
    #expect(report.endedAgo?.milliseconds == milliseconds)
    #expect(try MinerMessage(json: MinerMessage.done(report).json) == .done(report))
  }

  @Test(
    arguments: [
      .hello(hello), .accept(lease: "lt_a"), .refuse(lease: "lt_a", reason: "full"), .started(lease: "lt_a"),
      .progress(lease: "lt_a", percent: 45, message: "epoch 3"), .progress(lease: "lt_a", percent: 0, message: nil),
      .renew(leases: []), .renew(leases: ["lt_a", "lt_b"]), .done(TryReport(lease: "lt_a", exitCode: 0)), .done(full),
      .failed(full), .drain,
    ] as [MinerMessage])
  func messageRoundTrip(message: MinerMessage) throws {
    #expect(try MinerMessage(json: message.json) == message)
    #expect(try MinerMessage(json: JSONParser.parse(message.json.encoded)) == message)
    for name in try #require(message.json.object).members.map(\.name) {
      // Another order of members is the same message; a member that is missing is another message or none.
      var object = try #require(message.json.object)
      let value = try #require(object[name])
      object[name] = nil
      object.append(name, value)
      #expect(try MinerMessage(json: .object(object)) == message)
    }
  }

  private static var commands: [MinerCommand] {
    get throws {
      let miner = try #require(miner)
      let job = try #require(job)
      var specification = JobSpecification(runner: "process", command: ["true"])
      specification.priority = .high
      return [
        .welcome(MinerWelcome(miner: miner, heartbeat: Seconds(10))),
        .welcome(
          MinerWelcome(
            miner: miner, heartbeat: Seconds(milliseconds: 1),
            resumed: [ResumedLease(lease: "lt_a", leaseMilliseconds: 1, stdoutOffset: 2, stderrOffset: 3)],
            lost: ["lt_b"])),
        .assign(
          Assignment(
            job: job, tryNumber: 2, attempt: 3, lease: "lt_a", leaseMilliseconds: 30_000, specification: specification)),
        .cancel(lease: "lt_a", grace: Seconds(5)), .logAck(lease: "lt_a", stream: .stdout, offset: 0),
        .logAck(lease: "lt_a", stream: .stderr, offset: .max), .leases(renewed: [:], lost: []),
        .leases(renewed: ["lt_a": 1, "lt_b": 2], lost: ["lt_c"]), .settled(lease: "lt_a", accepted: true),
        .settled(lease: "lt_a", accepted: false), .drain, .error(code: "c", message: "m", lease: nil),
        .error(code: "c", message: "m", lease: "lt_a"),
      ]
    }
  }

  @Test func commandRoundTrip() throws {
    for command in try Self.commands {
      #expect(try MinerCommand(json: command.json) == command)
      #expect(try MinerCommand(json: JSONParser.parse(command.json.encoded)) == command)
    }
  }

  @Test(arguments: [
    "null", "1", "[]", "{}", #"{"type":1}"#, #"{"type":null}"#, #"{"type":"nonsense"}"#, #"{"type":"HELLO"}"#,
    #"{"type":"accept"}"#, #"{"type":"accept","lease_token":1}"#, #"{"type":"refuse","reason":"x"}"#,
    #"{"type":"started","lease_token":null}"#, #"{"type":"progress","lease_token":"l"}"#,
    #"{"type":"progress","lease_token":"l","progress":"45"}"#, #"{"type":"progress","lease_token":"l","progress":4.5}"#,
    #"{"type":"progress","progress":45}"#, #"{"type":"lease"}"#, #"{"type":"lease","lease_tokens":"l"}"#,
    #"{"type":"lease","lease_tokens":["l",1]}"#, #"{"type":"done"}"#, #"{"type":"failed"}"#, #"{"type":"hello"}"#,
    #"{"type":"done","lease_token":"l","artifacts":[{}]}"#,
    #"{"type":"done","lease_token":"l","artifacts":[{"path":"p","size":-1,"sha256":"x"}]}"#,
    #"{"type":"done","lease_token":"l","artifacts":[{"path":"p","size":1,"sha256":"short"}]}"#,
    #"{"type":"welcome"}"#, #"{"type":"assign"}"#,
  ])
  func malformedMessages(text: String) throws {
    let json = try JSONParser.parse(text)
    #expect(throws: MalformedMessage.self) { try MinerMessage(json: json) }
  }

  @Test(arguments: [0, 1, 10_000, 10_001]) func helloSlots(slots: Int) throws {
    var hello = Self.hello
    hello.offer.slots = slots
    #expect(((try? MinerMessage(json: MinerMessage.hello(hello).json)) != nil) == (1...10_000).contains(slots))
  }

  @Test(arguments: [0, 31, 32, 256, 257]) func helloInstance(length: Int) throws {
    var hello = Self.hello
    hello.instance = String(repeating: "s", count: length)
    #expect(((try? MinerMessage(json: MinerMessage.hello(hello).json)) != nil) == (32...256).contains(length))
  }

  @Test(arguments: ["instance", "name", "version", "capabilities"]) func helloNeeds(name: String) throws {
    var object = try #require(MinerMessage.hello(Self.hello).json.object)
    object[name] = nil
    let error = #expect(throws: MalformedMessage.self) { try MinerMessage(json: .object(object)) }
    #expect(error?.description.hasPrefix(name) ?? false)
  }

  @Test(arguments: [
    "null", "{}", #"{"type":"welcome"}"#, #"{"type":"assign"}"#, #"{"type":"assign","job":{}}"#, #"{"type":"cancel"}"#,
    #"{"type":"cancel","lease_token":"l","grace_ms":"5"}"#, #"{"type":"log_ack","lease_token":"l","offset":1}"#,
    #"{"type":"log_ack","lease_token":"l","stream":"stdin","offset":1}"#,
    #"{"type":"log_ack","lease_token":"l","stream":"stdout"}"#,
    #"{"type":"lease"}"#, #"{"type":"settled"}"#, #"{"type":"error","code":"c"}"#, #"{"type":"hello"}"#,
    #"{"type":"welcome","miner_id":"rig","heartbeat_ms":1,"resumed":[],"lost":[]}"#,
    #"{"type":"welcome","miner_id":"miner_01kgdzvwg0abcdefghjkmnpqrs","heartbeat_ms":1,"resumed":[{}],"lost":[]}"#,
    #"{"type":"welcome","miner_id":"miner_01kgdzvwg0abcdefghjkmnpqrs","heartbeat_ms":1,"resumed":[],"lost":[1]}"#,
  ])
  func malformedCommands(text: String) throws {
    let json = try JSONParser.parse(text)
    #expect(throws: MalformedMessage.self) { try MinerCommand(json: json) }
  }

  @Test(arguments: [42, 43, 44]) func keysAndSignatures(length: Int) throws {
    let text = String(repeating: "k", count: length)
    var hello = Self.hello
    hello.publicKey = text
    #expect(((try? MinerMessage(json: MinerMessage.hello(hello).json)) != nil) == (length == 43))
    var report = Self.full
    report.signature?.keyID = text
    #expect(((try? MinerMessage(json: MinerMessage.done(report).json)) != nil) == (length == 43))
    report.signature?.keyID = String(repeating: "k", count: 43)
    report.signature?.signature = String(repeating: "s", count: length * 2)
    #expect(((try? MinerMessage(json: MinerMessage.done(report).json)) != nil) == (length == 43))
  }

  /// A null member is a member that is not there.
  @Test func nullsInReports() throws {
    let text = #"{"type":"done","lease_token":"l","exit":0,"error":null,"result":null,"usage":null,"artifacts":null}"#
    let message = try MinerMessage(json: JSONParser.parse(text))
    #expect(message == .done(TryReport(lease: "l", exitCode: 0)))
  }

  @Test func unknownErrorCodesAreKeptAsFailures() throws {
    let text = #"{"type":"failed","lease_token":"l","error":{"code":"NEW","message":"m"}}"#
    let expected = TryReport(lease: "l", error: JobError(.runnerFailed, "m"))
    #expect(try MinerMessage(json: JSONParser.parse(text)) == .failed(expected))
  }
}

@Suite struct LogChunkTests {
  private let chunk = LogChunk(lease: "lt_é", stream: .stderr, offset: 0x0102_0304_0506_0708, data: [0xFF, 0, 10])

  @Test func layout() {
    #expect(
      chunk.encoded == [1, 2, 5, 0x6C, 0x74, 0x5F, 0xC3, 0xA9, 1, 2, 3, 4, 5, 6, 7, 8, 0xFF, 0, 10])
    #expect(LogChunk(chunk.encoded) == chunk)
    #expect(LogChunk(([0] + chunk.encoded)[1...]) == chunk)
  }

  @Test func everyTruncation() {
    let bytes = chunk.encoded
    let header = bytes.count - chunk.data.count
    for length in 0..<bytes.count {
      let decoded = LogChunk(bytes.prefix(length))
      #expect((decoded != nil) == (length > header), "\(length) bytes")
      #expect(decoded == nil || decoded?.data == Array(chunk.data.prefix(length - header)))
    }
  }

  @Test func limits() {
    for (count, isTaken) in [(0, false), (1, true), (LogChunk.maximumData, true), (LogChunk.maximumData + 1, false)] {
      var big = chunk
      big.data = Array(repeating: 7, count: count)
      #expect((LogChunk(big.encoded) == big) == isTaken)
    }
    for (count, isTaken) in [(0, false), (1, true), (255, true)] {
      var named = chunk
      named.lease = String(repeating: "l", count: count)
      #expect((LogChunk(named.encoded) == named) == isTaken)
    }
    for (offset, isTaken) in [(Int64(0), true), (.max, true), (-1, false), (.min, false)] {
      var placed = chunk
      placed.offset = offset
      #expect((LogChunk(placed.encoded) == placed) == isTaken)
    }
  }

  /// Each byte of the head, changed to each value: another chunk or none, never a crash.
  @Test func everyHeadByte() {
    for index in 0..<3 {
      for value in UInt8.min...UInt8.max where value != chunk.encoded[index] {
        var bytes = chunk.encoded
        bytes[index] = value
        let decoded = LogChunk(bytes)
        #expect(decoded != chunk)
        if index == 0 { #expect(decoded == nil) }
        if index == 1 { #expect((decoded != nil) == (value == 1)) }
      }
    }
    var bytes = chunk.encoded
    bytes[6] = 0xFF
    #expect(LogChunk(bytes) == nil, "the lease is not UTF-8")
  }
}
