/// Offers, answers and their checks (RFC 7692 §5.1 and §7.1).
enum DeflateNegotiation {
  // MARK: Server

  /// The first offer that can be accepted, in the client's order of preference, with the element to answer.
  static func accept(
    _ offers: [ExtensionElement], configuration: DeflateConfiguration
  ) -> (agreement: DeflateAgreement, element: String)? {
    for offer in offers where offer.name.asciiLowercased == DeflateParameters.extensionName {
      guard let parameters = DeflateParameters(offer.parameters) else { continue }
      return answer(parameters, configuration: configuration)
    }
    return nil
  }

  private static func answer(
    _ offer: DeflateParameters, configuration: DeflateConfiguration
  ) -> (agreement: DeflateAgreement, element: String) {
    var response = DeflateParameters()
    // §7.1.1: the server may add either without being asked.
    response.serverNoContextTakeover = offer.serverNoContextTakeover || !configuration.serverContextTakeover
    response.clientNoContextTakeover = offer.clientNoContextTakeover || !configuration.clientContextTakeover
    // §7.1.2.1: no larger than asked; said when it was asked for or when it is less than the default.
    let serverBits = min(offer.serverMaxWindowBits ?? 15, configuration.serverMaxWindowBits)
    if offer.serverMaxWindowBits != nil || serverBits < 15 { response.serverMaxWindowBits = serverBits }
    // §7.1.2.2: only to a client that said that it can limit its window.
    var clientBits = 15
    switch offer.clientMaxWindowBits {
    case .absent: break
    case .supported: clientBits = configuration.clientMaxWindowBits
    case .bits(let bits): clientBits = min(bits, configuration.clientMaxWindowBits)
    }
    if offer.clientMaxWindowBits != .absent, clientBits < 15 { response.clientMaxWindowBits = .bits(clientBits) }
    let agreement = DeflateAgreement(
      serverNoContextTakeover: response.serverNoContextTakeover,
      clientNoContextTakeover: response.clientNoContextTakeover, serverMaxWindowBits: serverBits,
      clientMaxWindowBits: clientBits)
    return (agreement, response.element)
  }

  // MARK: Client

  /// The one offer we make.
  static func offer(_ configuration: DeflateConfiguration) -> DeflateParameters {
    var offer = DeflateParameters()
    offer.serverNoContextTakeover = !configuration.serverContextTakeover
    offer.clientNoContextTakeover = !configuration.clientContextTakeover
    if configuration.serverMaxWindowBits < 15 { offer.serverMaxWindowBits = configuration.serverMaxWindowBits }
    offer.clientMaxWindowBits =
      configuration.clientMaxWindowBits < 15 ? .bits(configuration.clientMaxWindowBits) : .supported
    return offer
  }

  /// Checks the server's answer against what was offered; nil: the connection must fail (§5.1, §7.1).
  static func check(
    _ element: ExtensionElement, offer: DeflateParameters
  ) -> DeflateAgreement? {
    guard element.name.asciiLowercased == DeflateParameters.extensionName,
      let response = DeflateParameters(element.parameters)
    else { return nil }
    if offer.serverNoContextTakeover, !response.serverNoContextTakeover { return nil }
    if let offered = offer.serverMaxWindowBits {
      guard let answered = response.serverMaxWindowBits, answered <= offered else { return nil }
    }
    guard let clientBits = clientWindow(response.clientMaxWindowBits, offered: offer.clientMaxWindowBits) else {
      return nil
    }
    return DeflateAgreement(
      serverNoContextTakeover: response.serverNoContextTakeover,
      // What the client said it would do it does, whether or not the server repeats it.
      clientNoContextTakeover: response.clientNoContextTakeover || offer.clientNoContextTakeover,
      serverMaxWindowBits: response.serverMaxWindowBits ?? 15, clientMaxWindowBits: clientBits)
  }

  /// In a response the value must be there, no larger than offered, and only when it was offered.
  private static func clientWindow(
    _ response: DeflateParameters.ClientWindow, offered: DeflateParameters.ClientWindow
  ) -> Int? {
    switch (response, offered) {
    case (.absent, .bits(let offered)): offered
    case (.absent, _): 15
    case (.supported, _), (.bits, .absent): nil
    case (.bits(let bits), .supported): bits
    case (.bits(let bits), .bits(let offered)): bits <= offered ? bits : nil
    }
  }
}
