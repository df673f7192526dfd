import Testing

@testable import WebSocket

@Suite struct DeflateNegotiationTests {
  private func elements(_ header: String) throws -> [ExtensionElement] {
    try #require(ExtensionElement.parse([header]))
  }

  /// A server that takes everything as asked.
  private static let open = DeflateConfiguration(serverContextTakeover: true, clientContextTakeover: true)

  /// Offer, answer (nil: declined), with a server that keeps context where it may.
  private static let offers: [(String, String?)] = [
    ("permessage-deflate", "permessage-deflate"),
    ("PerMessage-Deflate", "permessage-deflate"),
    ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
    ("permessage-deflate; client_max_window_bits=15", "permessage-deflate"),
    ("permessage-deflate; client_max_window_bits=8", "permessage-deflate; client_max_window_bits=8"),
    ("permessage-deflate; client_max_window_bits=\"10\"", "permessage-deflate; client_max_window_bits=10"),
    ("permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8"),
    ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
    ("permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
    ("permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"),
    (
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; "
        + "client_max_window_bits=12",
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; "
        + "client_max_window_bits=12"
    ),
    // Values out of range or malformed.
    ("permessage-deflate; server_max_window_bits", nil),
    ("permessage-deflate; server_max_window_bits=7", nil),
    ("permessage-deflate; server_max_window_bits=16", nil),
    ("permessage-deflate; server_max_window_bits=08", nil),
    ("permessage-deflate; server_max_window_bits=010", nil),
    ("permessage-deflate; server_max_window_bits=+9", nil),
    ("permessage-deflate; client_max_window_bits=7", nil),
    ("permessage-deflate; client_max_window_bits=16", nil),
    ("permessage-deflate; client_max_window_bits=x", nil),
    // Values where none belong.
    ("permessage-deflate; server_no_context_takeover=1", nil),
    ("permessage-deflate; client_no_context_takeover=true", nil),
    // Unknown and repeated parameters.
    ("permessage-deflate; unknown", nil),
    ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", nil),
    ("permessage-deflate; client_max_window_bits; client_max_window_bits=10", nil),
    // Other extensions.
    ("x-webkit-deflate-frame", nil),
    ("permessage-bzip2; client_max_window_bits", nil),
    // The first offer that can be taken counts.
    (
      "permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=10, permessage-deflate",
      "permessage-deflate; server_max_window_bits=10"
    ),
    ("foo; bar=baz, permessage-deflate", "permessage-deflate"),
  ]

  @Test(arguments: offers)
  func serverAnswers(offer: String, answer: String?) throws {
    let result = DeflateNegotiation.accept(try elements(offer), configuration: Self.open)
    #expect(result?.element == answer)
  }

  @Test func serverAddsItsOwnWishes() throws {
    let strict = DeflateConfiguration(serverMaxWindowBits: 12, clientMaxWindowBits: 11)
    let plain = DeflateNegotiation.accept(try elements("permessage-deflate"), configuration: strict)
    // The client did not say that it can limit its window, so it may not be told to (§7.1.2.2).
    #expect(
      plain?.element
        == "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12")
    #expect(plain?.agreement.clientMaxWindowBits == 15)
    let able = DeflateNegotiation.accept(
      try elements("permessage-deflate; client_max_window_bits; server_max_window_bits=14"), configuration: strict)
    #expect(
      able?.agreement
        == DeflateAgreement(
          serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 12, clientMaxWindowBits: 11
        ))
  }

  /// What the client asked for, what the server said, and whether that may be.
  private static let answers: [(DeflateConfiguration, String, DeflateAgreement?)] = [
    (open, "permessage-deflate", DeflateAgreement()),
    (open, "permessage-deflate; server_no_context_takeover", DeflateAgreement(serverNoContextTakeover: true)),
    (open, "permessage-deflate; client_no_context_takeover", DeflateAgreement(clientNoContextTakeover: true)),
    (open, "permessage-deflate; server_max_window_bits=10", DeflateAgreement(serverMaxWindowBits: 10)),
    (open, "permessage-deflate; client_max_window_bits=9", DeflateAgreement(clientMaxWindowBits: 9)),
    (open, "permessage-deflate; client_max_window_bits", nil),
    (open, "permessage-deflate; client_max_window_bits=7", nil),
    (open, "permessage-deflate; unknown", nil),
    (open, "permessage-bzip2", nil),
    (DeflateConfiguration(), "permessage-deflate", nil),
    (
      DeflateConfiguration(), "permessage-deflate; server_no_context_takeover",
      DeflateAgreement(serverNoContextTakeover: true, clientNoContextTakeover: true)
    ),
    (
      DeflateConfiguration(serverContextTakeover: true, clientContextTakeover: true, serverMaxWindowBits: 10),
      "permessage-deflate", nil
    ),
    (
      DeflateConfiguration(serverContextTakeover: true, clientContextTakeover: true, serverMaxWindowBits: 10),
      "permessage-deflate; server_max_window_bits=11", nil
    ),
    (
      DeflateConfiguration(serverContextTakeover: true, clientContextTakeover: true, serverMaxWindowBits: 10),
      "permessage-deflate; server_max_window_bits=9", DeflateAgreement(serverMaxWindowBits: 9)
    ),
    (
      DeflateConfiguration(serverContextTakeover: true, clientContextTakeover: true, clientMaxWindowBits: 10),
      "permessage-deflate; client_max_window_bits=11", nil
    ),
    (
      DeflateConfiguration(serverContextTakeover: true, clientContextTakeover: true, clientMaxWindowBits: 10),
      "permessage-deflate", DeflateAgreement(clientMaxWindowBits: 10)
    ),
  ]

  @Test(arguments: answers.indices)
  func clientChecks(index: Int) throws {
    let (configuration, answer, agreement) = Self.answers[index]
    let element = try #require(try elements(answer).first)
    let result = DeflateNegotiation.check(element, offer: DeflateNegotiation.offer(configuration))
    #expect(result == agreement, "\(answer)")
  }

  /// Every configuration of a client with every one of a server comes to the same agreement at both ends.
  @Test func bothEndsAgree() throws {
    var configurations: [DeflateConfiguration] = []
    for takeover in 0..<4 {
      for serverBits in [8, 11, 15] {
        for clientBits in [8, 12, 15] {
          configurations.append(
            DeflateConfiguration(
              serverContextTakeover: takeover & 1 != 0, clientContextTakeover: takeover & 2 != 0,
              serverMaxWindowBits: serverBits, clientMaxWindowBits: clientBits))
        }
      }
    }
    for client in configurations {
      let offer = DeflateNegotiation.offer(client)
      for server in configurations {
        let answer = try #require(DeflateNegotiation.accept(try elements(offer.element), configuration: server))
        let element = try #require(try elements(answer.element).first)
        #expect(DeflateNegotiation.check(element, offer: offer) == answer.agreement)
      }
    }
  }

  @Test(arguments: [
    "", ",", "a b", "a;", "a;;b", "a; b=", "a; b=\"", "a; b=\"c", "a; b=\"c d\"", "a; b=\"\"", "=", "a; b=c d",
  ])
  func malformedHeaders(header: String) { #expect(ExtensionElement.parse([header]) == nil) }

  @Test func quotedValuesAreUnquoted() throws {
    #expect(
      try elements(" a ; b = \"c\\d\" ,, e") == [
        ExtensionElement(name: "a", parameters: [ExtensionParameter(name: "b", value: "cd")]),
        ExtensionElement(name: "e", parameters: []),
      ])
  }
}
