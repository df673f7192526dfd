import Testing

@testable import MarketplaceClient

@Suite struct AddressTests {
  @Test(arguments: [
    ("http://localhost:8000", "http://localhost:8000"), ("http://localhost", "http://localhost"),
    ("https://market.example.org/", "https://market.example.org"), ("HTTPS://x:443", "https://x"),
    ("http://h:80/pre/fix/", "http://h/pre/fix"), ("http://h:8000/v1", "http://h:8000"),
    ("http://h/a/v1/", "http://h/a"), ("http://[::1]:9000", "http://[::1]:9000"), ("http://[::1]", "http://[::1]"),
  ])
  func taken(_ text: String, _ written: String) throws {
    #expect(try CoordinatorURL(text).description == written)
  }

  @Test(arguments: [
    "", "localhost:8000", "ftp://h", "ws://h", "http://", "http://:80", "http://h:", "http://h:0", "http://h:65536",
    "http://h:8x", "http://u:p@h", "http://h/?q=1", "http://h/#f", "http://h h", "http://[::1", "http://[::1]x",
    "http://ü",
    "http://h\\x", "http://h:+80",
  ])
  func refused(_ text: String) {
    #expect(throws: ClientError.self) { try CoordinatorURL(text) }
  }

  @Test func pathsEscapeEverySegment() {
    #expect(APIPath("jobs", "a/b?c#d e%é").description == "/v1/jobs/a%2Fb%3Fc%23d%20e%25%C3%A9")
    #expect(APIPath("jobs:batch").description == "/v1/jobs:batch")
    #expect(APIPath("jobs", "..").description == "/v1/jobs/%2E%2E")
    #expect(APIPath("x").appending(file: "a b/c&d").description == "/v1/x/a%20b/c%26d")
    #expect(
      APIPath("jobs", query: [("q", "a&b=c d+"), ("n", nil), ("m", "")]).description == "/v1/jobs?q=a%26b%3Dc%20d%2B&m="
    )
    #expect(APIPath.root("readyz").description == "/readyz")
  }
}
