import JSON
import Marketplace
import Testing
import Wire

@Suite struct FeedTests {
  private static let at = Timestamp(milliseconds: 1_770_976_800_123)
  private static let job = "job_01kgdzvwg0abcdefghjkmnpqrs"
  private static let digest = String(repeating: "0a", count: 32)

  private static func status(_ state: JobState, summary: JSONObject = JSONObject()) -> JobStatus {
    JobStatus(
      sequence: 7, epoch: "e", job: job, status: state, attempt: 2, tryNumber: 3, miner: nil, progress: 40, at: at,
      summary: summary)
  }

  private static func piece(_ data: [UInt8], end: LogFact? = nil) -> FeedMessage {
    .log(LogPiece(job: job, stream: .stderr, tryNumber: 1, offset: 9, data: data, end: end))
  }

  @Test(
    arguments: [
      .snapshot(epoch: "e", sequence: 9, jobs: [["job_id": "x"]], isTruncated: true),
      .snapshot(epoch: "e", sequence: 0, jobs: [], isTruncated: false), .status(status(.running)),
      .status(status(.failed, summary: JSONObject([("exit_code", 3), ("error", "x")]))),
      .progress(
        JobProgress(
          job: job, status: .running, attempt: 1, tryNumber: 1, progress: 45, message: "m", estimatedCompletion: at,
          at: at)),
      .progress(
        JobProgress(
          job: job, status: .canceling, attempt: 1, tryNumber: 1, progress: 0, message: nil, estimatedCompletion: nil,
          at: at)),
      piece(Array("text é\n".utf8)), piece([0xFF, 0xC3]), piece([]), piece([0]),
      piece([], end: LogFact(length: 9, sha256: digest)), .reset(epoch: "f", sequence: 1), .pong,
      .error(code: "c", message: "m"),
    ] as [FeedMessage])
  func roundTrip(message: FeedMessage) throws {
    #expect(try FeedMessage(json: message.json) == message)
    #expect(try FeedMessage(json: JSONParser.parse(message.json.encoded)) == message)
  }

  /// The names that the contract gives; `end` is the status message of a terminal state.
  @Test(arguments: JobState.allCases) func statusMembers(state: JobState) throws {
    let json = FeedMessage.status(Self.status(state)).json
    let names = try #require(json.object).members.map(\.name)
    #expect(
      names == [
        "type", "seq", "epoch", "job_id", "status", "state", "attempt_no", "try", "miner_id", "progress", "at",
      ])
    #expect(json["type"] == (state.isTerminal ? "end" : "status"))
    #expect(json["status"] == .string(state.rawValue) && json["state"] == .string(state.aitbcWord))
    #expect(json["at"] == "2026-02-13T10:00:00.123Z")
  }

  @Test func logForms() {
    #expect(Self.piece(Array("é".utf8)).json["data"] == "é" && Self.piece(Array("é".utf8)).json["encoding"] == nil)
    #expect(Self.piece([0xFF]).json["data"] == "/w==" && Self.piece([0xFF]).json["encoding"] == "base64")
    let end = Self.piece([], end: LogFact(length: 9, sha256: Self.digest)).json
    #expect(end["eof"] == true && end["length"] == 9 && end["sha256"] == .string(Self.digest))
  }

  @Test func market() throws {
    let message = FeedMessage.market(JSONObject([("pending", 1), ("running", 2)]))
    #expect(message.json.text == #"{"type":"market","pending":1,"running":2}"#)
    guard case .market(let figures) = try FeedMessage(json: message.json) else {
      Issue.record("not market")
      return
    }
    #expect(figures["pending"] == 1 && figures["running"] == 2)
  }

  @Test(arguments: [
    "null", "{}", #"{"type":"x"}"#, #"{"type":"snapshot"}"#, #"{"type":"snapshot","epoch":"e","seq":"1","jobs":[]}"#,
    #"{"type":"status"}"#, #"{"type":"end","status":"nonsense","seq":1,"epoch":"e","job_id":"j"}"#,
    #"{"type":"status","status":"running","epoch":"e","job_id":"j"}"#, #"{"type":"progress","job_id":"j"}"#,
    #"{"type":"log","job_id":"j","offset":0,"data":""}"#,
    #"{"type":"log","job_id":"j","stream":"x","offset":0,"data":""}"#,
    #"{"type":"log","job_id":"j","stream":"stdout","offset":0}"#,
    #"{"type":"log","job_id":"j","stream":"stdout","data":""}"#,
    #"{"type":"log","job_id":"j","stream":"stdout","offset":0,"data":"*","encoding":"base64"}"#, #"{"type":"reset"}"#,
    #"{"type":"error"}"#,
  ])
  func malformed(text: String) throws {
    let json = try JSONParser.parse(text)
    #expect(throws: MalformedMessage.self) { try FeedMessage(json: json) }
  }

  @Test(
    arguments: [
      .auth(apiKey: "ak_x"), .subscribe(job: job, logs: true, offsets: [:]),
      .subscribe(job: job, logs: false, offsets: [.stdout: 0, .stderr: .max]), .unsubscribe(job: job),
      .resume(epoch: "e", after: 5), .ping,
    ] as [FeedCommand])
  func commandRoundTrip(command: FeedCommand) throws {
    #expect(try FeedCommand(json: JSONParser.parse(command.json.encoded)) == command)
  }

  @Test(arguments: [
    "null", "{}", #"{"type":"x"}"#, #"{"type":"auth"}"#, #"{"type":"auth","api_key":1}"#, #"{"type":"subscribe"}"#,
    #"{"type":"subscribe","job_id":"j","log_offsets":{"stdin":1}}"#,
    #"{"type":"subscribe","job_id":"j","log_offsets":{"stdout":-1}}"#,
    #"{"type":"subscribe","job_id":"j","log_offsets":{"stdout":"1"}}"#, #"{"type":"unsubscribe"}"#,
    #"{"type":"resume","epoch":"e"}"#, #"{"type":"resume","after":1}"#, #"{"type":"resume","epoch":"e","after":"1"}"#,
  ])
  func malformedCommands(text: String) throws {
    let json = try JSONParser.parse(text)
    #expect(throws: MalformedMessage.self) { try FeedCommand(json: json) }
  }
}
