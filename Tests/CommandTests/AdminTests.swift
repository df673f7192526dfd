import JSON
import LoopbackServer
import Testing

@testable import aitbc

@Suite struct AdminTests {
  private static let account = #"{"account_id":"acct_1","name":"n","plan":"pro","created_at":"t","created_at_unix":1}"#

  private func answer(_ status: Int, _ body: String) -> LoopbackServer.Answer { { _ in LoopbackAnswer(status, body) } }

  @Test func accounts() async throws {
    try await LoopbackServer.with(answer(201, Self.account)) { server in
      let made = await run("admin", "account", "create", "n", "--plan", "pro", url: server.url)
      #expect(made.code == 0)
      #expect(made.output == "account_id  acct_1\nname        n\nplan        pro\ncreated_at  t\n")
      #expect(server.requests.last?.body == Array(#"{"name":"n","plan":"pro"}"#.utf8))
      #expect(await run("admin", "account", "show", "n", "-o", "id", url: server.url).output == "acct_1\n")
      #expect(await run("admin", "account", "set-plan", "n", "free", "--json", url: server.url).code == 0)
      #expect(server.requests.last?.method == "PATCH" && server.requests.last?.path == "/v1/admin/accounts/n")
    }
  }

  @Test func theKeyStandsAloneOnStandardOutput() async throws {
    let body = #"{"key_id":"key_1","api_key":"ak_secret","role":"client"}"#
    try await LoopbackServer.with(answer(201, body)) { server in
      let made = await run("admin", "key", "create", "n", "--role", "client", url: server.url)
      #expect(made.output == "ak_secret\n")
      #expect(made.errors.contains("key_1") && !made.errors.contains("ak_secret"))
    }
  }

  /// A second key would be made that nobody knows of.
  @Test func aLostKeyIsNotAskedForAgain() async throws {
    try await LoopbackServer.with(answer(503, #"{"detail":"busy","code":"busy"}"#)) { server in
      #expect(await run("admin", "key", "create", "n", "--role", "client", url: server.url).code == 5)
      #expect(server.requests.count == 1)
    }
  }

  @Test func theAdminKeyIsAnotherThanTheClients() async throws {
    try await LoopbackServer.with(answer(200, #"{"accounts":[]}"#)) { server in
      let none = await run("admin", "account", "list", url: server.url)
      #expect(none.code == 0)
      let given = await run(
        "admin", "account", "list", url: server.url, environment: ["AITBC_ADMIN_KEY": "ak_admin"])
      #expect(given.code == 0)
      let flag = await run(
        "admin", "account", "list", "--api-key", "ak_flag", url: server.url,
        environment: ["AITBC_ADMIN_KEY": "ak_admin"])
      #expect(flag.code == 0)
      #expect(server.requests.map { $0[header: "X-Api-Key"] } == [nil, "ak_admin", "ak_flag"])
      try await TemporaryFolder.with { folder in
        try SmallFile.makeFolder(folder + "/keys")
        try TemporaryFolder.write(Array("ak_file\n".utf8), to: folder + "/keys/admin.key")
        #expect(await run("admin", "account", "list", url: server.url, folder: folder).code == 0)
        #expect(server.requests.last?[header: "X-Api-Key"] == "ak_file")
      }
    }
  }

  @Test func anUnbalancedLedgerIsAnIntegrityError() async throws {
    try await LoopbackServer.with(answer(200, #"{"balanced":false,"sum":"0.000001"}"#)) { server in
      let outcome = await run("admin", "ledger", "check", url: server.url)
      #expect(outcome.code == 9 && outcome.output.contains("0.000001"))
    }
  }

  @Test func miners() async throws {
    let body = #"{"miners":[{"miner_id":"miner_1","name":"m","status":"online","slots":2,"held":0}]}"#
    try await LoopbackServer.with(answer(200, body)) { server in
      let listed = await run("admin", "miner", "list", url: server.url)
      #expect(listed.output.hasPrefix("MINER    STATUS  SLOTS  HELD"))
      for (words, method, target) in [
        (["drain"], "POST", "/v1/admin/miners/miner_1/drain"),
        (["undrain"], "POST", "/v1/admin/miners/miner_1/undrain"),
        (["remove", "--force"], "DELETE", "/v1/admin/miners/miner_1?force=1"),
        (["remove"], "DELETE", "/v1/admin/miners/miner_1"),
      ] {
        let output = Collector()
        var context = CommandContext(output: output, errors: Collector())
        context.environment = ["AITBC_URL": server.url]
        #expect(await Runner.run(["admin", "miner"] + words + ["miner_1"], in: context) == 0)
        #expect(server.requests.last?.method == method && server.requests.last?.target == target)
      }
    }
  }

  @Test(arguments: [
    ["admin"], ["admin", "account"], ["admin", "account", "create"],
    ["admin", "account", "create", "n", "--plan", "x"],
    ["admin", "account", "set-plan", "n"], ["admin", "account", "list", "--limit", "0"],
    ["admin", "key", "create", "n"], ["admin", "key", "create", "n", "--role", "god"], ["admin", "key", "revoke"],
    ["admin", "miner", "drain"], ["admin", "frob"],
  ])
  func usage(_ arguments: [String]) async {
    let errors = Collector()
    let context = CommandContext(output: Collector(), errors: errors)
    let code = await Runner.run(arguments, in: context)
    // Without a subcommand the help is shown.
    #expect(code == (arguments.count == 1 || arguments == ["admin", "account"] ? 0 : 2), "\(errors.text)")
  }

  @Test(arguments: [
    (["--url", "U", "admin", "key", "list"], ["admin", "key", "list", "--url", "U"]),
    (["admin", "--json", "account", "show", "n"], ["admin", "account", "show", "--json", "n"]),
    (["admin", "--json", "stats"], ["admin", "stats", "--json"]),
  ])
  func globalOptionsMayStandBefore(_ given: [String], _ wanted: [String]) {
    #expect(ArgumentOrder.normalized(given) == wanted)
  }
}
