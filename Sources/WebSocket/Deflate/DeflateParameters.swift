/// The parameters of one permessage-deflate element, in an offer or in a response (RFC 7692 §7.1).
struct DeflateParameters: Equatable, Sendable {
  /// `client_max_window_bits` may stand without a value in an offer.
  enum ClientWindow: Equatable, Sendable {
    case absent
    case supported
    case bits(Int)
  }

  static let extensionName = "permessage-deflate"

  var serverNoContextTakeover = false
  var clientNoContextTakeover = false
  var serverMaxWindowBits: Int?
  var clientMaxWindowBits = ClientWindow.absent

  init() {}

  /// Nil when the element must be declined: an unknown name, a name that stands twice, a value where none belongs or
  /// none where one does, or a value that is not 8 to 15 in decimal without leading zeros (§7.1.2).
  init?(_ parameters: [ExtensionParameter]) {
    var seen: Set<String> = []
    for parameter in parameters {
      let name = parameter.name.asciiLowercased
      guard seen.insert(name).inserted else { return nil }
      switch (name, parameter.value) {
      case ("server_no_context_takeover", nil): serverNoContextTakeover = true
      case ("client_no_context_takeover", nil): clientNoContextTakeover = true
      case ("server_max_window_bits", let value?):
        guard let bits = Self.windowBits(value) else { return nil }
        serverMaxWindowBits = bits
      case ("client_max_window_bits", nil): clientMaxWindowBits = .supported
      case ("client_max_window_bits", let value?):
        guard let bits = Self.windowBits(value) else { return nil }
        clientMaxWindowBits = .bits(bits)
      default: return nil
      }
    }
  }

  private static func windowBits(_ text: String) -> Int? {
    switch text {
    case "8": 8
    case "9": 9
    case "10": 10
    case "11": 11
    case "12": 12
    case "13": 13
    case "14": 14
    case "15": 15
    default: nil
    }
  }

  /// As it stands in the header.
  var element: String {
    var text = Self.extensionName
    if serverNoContextTakeover { text += "; server_no_context_takeover" }
    if clientNoContextTakeover { text += "; client_no_context_takeover" }
    if let serverMaxWindowBits { text += "; server_max_window_bits=\(serverMaxWindowBits)" }
    switch clientMaxWindowBits {
    case .absent: break
    case .supported: text += "; client_max_window_bits"
    case .bits(let bits): text += "; client_max_window_bits=\(bits)"
    }
    return text
  }
}
