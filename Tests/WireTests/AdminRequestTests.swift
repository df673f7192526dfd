import JSON
import Marketplace
import Testing
import Wire

@Suite struct AdminRequestTests {
  @Test func accounts() throws {
    let plain = try AccountRequest.creation(["name": "a"])
    #expect(plain.name == "a" && plain.plan == .free)
    let name = String(repeating: "n", count: AccountRequest.longestName)
    #expect(try AccountRequest.creation(["name": .string(name), "plan": "PRO"]).plan == .pro)
    #expect(try AccountRequest.change(["plan": "enterprise"]) == .enterprise)
  }

  @Test(
    arguments: [
      ("{}", ["/name"]), (#"{"name":""}"#, ["/name"]), (#"{"name":1}"#, ["/name"]), (#"{"name":"a b"}"#, ["/name"]),
      (#"{"name":"../a"}"#, ["/name"]), (#"{"name":"-a"}"#, ["/name"]), (#"{"name":"é"}"#, ["/name"]),
      (#"{"name":"acct_1"}"#, ["/name"]), (#"{"name":"a","plan":"basic"}"#, ["/plan"]),
      (#"{"name":"a","plan":1,"x":2}"#, ["/plan", "/x"]),
      ("{\"name\":\"\(String(repeating: "n", count: AccountRequest.longestName + 1))\"}", ["/name"]),
    ] as [(String, [String])])
  func wrongAccounts(_ text: String, _ pointers: [String]) throws {
    let body = try JSONParser.parse(text)
    let problem = #expect(throws: Problem.self) { try AccountRequest.creation(body) }
    #expect(problem?.status == 422 && problem?.errors.map(\.pointer) == pointers)
  }

  @Test(
    arguments: [
      ("{}", ["/account", "/role"]), (#"{"account":"a","role":"root"}"#, ["/role"]),
      (#"{"account":1,"role":"client"}"#, ["/account"]), (#"{"account":"a","role":"client","key":"k"}"#, ["/key"]),
    ] as [(String, [String])])
  func wrongKeys(_ text: String, _ pointers: [String]) throws {
    let body = try JSONParser.parse(text)
    let problem = #expect(throws: Problem.self) { try KeyRequest(body, roles: ["client", "miner", "admin"]) }
    #expect(problem?.errors.map(\.pointer) == pointers)
  }
}
