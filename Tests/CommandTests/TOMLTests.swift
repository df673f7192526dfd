import LoopbackServer
import Testing

@testable import aitbc

@Suite struct TOMLTests {
  @Test func reads() throws {
    let document = try TOMLDocument(
      parsing: """
        # a comment
        profile = "work" # here too

        [work]
        url="http://a#b"
        api_key = 'C:\\raw'
        timeout=30
        "quoted key" = true
        [ "a b" ]\r
        x = "tab\\t quote\\" back\\\\ \\u00e9 \\U0001F600"
        """)
    #expect(document.value("profile", in: "") == "work")
    #expect(document.value("url", in: "work") == "http://a#b")
    #expect(document.value("api_key", in: "work") == "C:\\raw")
    #expect(document.value("timeout", in: "work") == "30")
    #expect(document.value("quoted key", in: "work") == "true")
    #expect(document.value("x", in: "a b") == "tab\t quote\" back\\ é 😀")
  }

  @Test(arguments: [
    "x", "x =", "= 1", "x = y", "x = 1.5", "x = [1]", "x = {a=1}", "x = \"a", "x = 'a", "x = \"\\q\"", "x = \"\\u12\"",
    "x = \"\\uD800\"", "x = \"\"\"a\"\"\"", "x = 1 2", "[a", "[]", "[[a]]", "[a] b", "a.b = 1", "x = 1\nx = 2",
    "[a]\n[a]",
    "x = \"a\u{1}b\"", "x = -", "x = \"a\" \"b\"",
  ])
  func refuses(_ text: String) {
    do {
      _ = try TOMLDocument(parsing: "# first\n" + text)
      Issue.record("taken: \(text)")
    } catch {
      #expect(error.line >= 2)
    }
  }

  @Test func aChangeLeavesTheRestAlone() throws {
    let text = "# top\n[a]\nurl = \"x\" # why\n\n[b]\nurl = \"y\"\n"
    let document = try TOMLDocument(parsing: text)
    #expect(document.text == text)
    #expect(try document.setting("url", in: "b", to: "z").text == "# top\n[a]\nurl = \"x\" # why\n\n[b]\nurl = \"z\"\n")
    #expect(
      try document.setting("color", in: "a", to: "never").text
        == "# top\n[a]\nurl = \"x\" # why\ncolor = \"never\"\n\n[b]\nurl = \"y\"\n")
    #expect(try document.setting("url", in: "c d", to: "q").text == text + "\n[\"c d\"]\nurl = \"q\"\n")
    #expect(try document.setting("profile", in: "", to: "b").text == "profile = \"b\"\n" + text)
    #expect(try TOMLDocument().setting("url", in: "default", to: "u").text == "[default]\nurl = \"u\"\n")
  }

  @Test(arguments: ["", "plain", "q\"uote", "back\\slash", "tab\tnew\nline\r", "\u{1}\u{7F}", "é😀 '#="])
  func whatIsSetIsRead(_ value: String) throws {
    #expect(try TOMLDocument().setting("k", in: "t", to: value).value("k", in: "t") == value)
  }

  @Test func setWritesWhereItIsRead() async throws {
    try await TemporaryFolder.with { folder in
      #expect(await run("client", "config", "set", "url", "http://h:1", folder: folder).code == 0)
      let path = await run("client", "config", "path", folder: folder).output
      #expect(path == folder + "/.config/aitbc/config.toml\n")
      #expect(await run("client", "config", "get", "url", folder: folder).output == "http://h:1\n")
      #expect(
        await run("client", "config", "get", "url", url: "http://env:2", folder: folder).output == "http://env:2\n")
      #expect(
        await run("client", "config", "get", "url", "--url", "http://flag:3", url: "http://env:2", folder: folder)
          .output == "http://flag:3\n")
      #expect(await run("client", "config", "set", "url", "http://w:4", "--profile", "work", folder: folder).code == 0)
      #expect(await run("client", "config", "get", "url", "--profile", "work", folder: folder).output == "http://w:4\n")
      #expect(await run("client", "config", "get", "url", folder: folder).output == "http://h:1\n")
      #expect(await run("client", "config", "set", "profile", "work", folder: folder).code == 0)
      #expect(await run("client", "config", "get", "url", folder: folder).output == "http://w:4\n")
      let list = await run("client", "config", "list", folder: folder)
      #expect(list.output.contains("profile work"))
      #expect(!list.output.contains("ak_test"))
    }
  }

  @Test func unknownSettingsInTheFileAreNamed() async throws {
    try await TemporaryFolder.with { folder in
      try TemporaryFolder.write(Array("[default]\nulr = \"x\"\n".utf8), to: folder + "/c.toml")
      let outcome = await run("client", "list", "--config-file", folder + "/c.toml", folder: folder)
      #expect(outcome.code == 2)
      #expect(outcome.errors.contains("c.toml:2: unknown setting ulr"))
    }
  }
}
