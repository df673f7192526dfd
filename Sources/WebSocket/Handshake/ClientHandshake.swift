import Cryptography

/// What is wrong with a server's 101 (RFC 6455 §4.1), or with what the caller asked for.
public struct HandshakeFailure: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

/// The client's side of the opening handshake (RFC 6455 §4.1).
public struct ClientHandshake: Sendable {
  /// What the two ends agreed on.
  public struct Agreement: Hashable, Sendable {
    public let subprotocol: String?
    public let deflate: DeflateAgreement?
  }

  /// The request to send.
  public let request: RequestHead
  private let key: String
  private let subprotocols: [String]
  private let offer: DeflateParameters?

  /// - Parameters:
  ///   - host: the authority of the URL, with the port unless it is the scheme's default.
  ///   - target: path and query, beginning with `/`.
  ///   - nonce: 16 random bytes, new for each connection.
  ///   - additional: further headers, such as credentials; must be well-formed and none of the handshake's own.
  public init(
    host: String, target: String, nonce: [UInt8], subprotocols: [String] = [],
    deflate configuration: DeflateConfiguration? = nil, additional: [HTTPField] = []
  ) throws(HandshakeFailure) {
    guard nonce.count == 16 else { throw HandshakeFailure("the nonce must have 16 bytes") }
    guard target.utf8.first == UInt8(ascii: "/"), target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw HandshakeFailure("the target must begin with / and be ASCII without blanks")
    }
    guard subprotocols.allSatisfy(\.isToken), Set(subprotocols).count == subprotocols.count else {
      throw HandshakeFailure("the subprotocols must be different tokens")
    }
    key = Base64.encode(nonce)
    self.subprotocols = subprotocols
    offer = configuration.map(DeflateNegotiation.offer)
    var fields = [
      HTTPField("Host", host), HTTPField("Upgrade", "websocket"), HTTPField("Connection", "Upgrade"),
      HTTPField("Sec-WebSocket-Key", key), HTTPField("Sec-WebSocket-Version", "13"),
    ]
    if !subprotocols.isEmpty {
      fields.append(HTTPField("Sec-WebSocket-Protocol", subprotocols.joined(separator: ", ")))
    }
    if let offer { fields.append(HTTPField("Sec-WebSocket-Extensions", offer.element)) }
    for field in additional {
      let name = field.name.asciiLowercased
      guard field.isWellFormed, !fields.contains(where: { $0.name.asciiLowercased == name }) else {
        throw HandshakeFailure("the header \(field.name) may not be added")
      }
    }
    fields += additional
    guard fields[0].isWellFormed else { throw HandshakeFailure("the host is malformed") }
    request = RequestHead(target: target, fields: fields)
  }

  /// Checks a 101; other statuses are the caller's to handle.
  public func verify(_ response: ResponseHead) throws(HandshakeFailure) -> Agreement {
    let fields = response.fields
    guard response.status == 101 else { throw HandshakeFailure("the server answered \(response.status)") }
    // RFC 9110 §15.2: HTTP/1.0 has no interim answers.
    guard response.minorVersion >= 1 else { throw HandshakeFailure("the answer is HTTP/1.0") }
    guard fields.values("Upgrade").map(\.asciiLowercased) == ["websocket"] else {
      throw HandshakeFailure("Upgrade in the answer is not websocket")
    }
    guard fields.hasToken("upgrade", in: "Connection") else {
      throw HandshakeFailure("Connection in the answer does not name Upgrade")
    }
    guard fields.values("Sec-WebSocket-Accept") == [acceptKey(for: key)] else {
      throw HandshakeFailure("Sec-WebSocket-Accept does not match the key")
    }
    return Agreement(subprotocol: try subprotocol(fields), deflate: try deflate(fields))
  }

  private func subprotocol(_ fields: [HTTPField]) throws(HandshakeFailure) -> String? {
    let values = fields.values("Sec-WebSocket-Protocol")
    guard let value = values.first else { return nil }
    guard values.count == 1, subprotocols.contains(value) else {
      throw HandshakeFailure("the server chose a subprotocol that was not offered")
    }
    return value
  }

  private func deflate(_ fields: [HTTPField]) throws(HandshakeFailure) -> DeflateAgreement? {
    guard let elements = ExtensionElement.parse(fields.values("Sec-WebSocket-Extensions")) else {
      throw HandshakeFailure("Sec-WebSocket-Extensions in the answer is malformed")
    }
    guard let element = elements.first else { return nil }
    guard elements.count == 1, let offer, let agreement = DeflateNegotiation.check(element, offer: offer) else {
      throw HandshakeFailure("the server chose extensions that were not offered")
    }
    return agreement
  }
}
