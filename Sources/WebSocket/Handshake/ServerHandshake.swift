import Cryptography

/// The server's side of the opening handshake (RFC 6455 §4.2): a request that has passed every rule.
public struct ServerHandshake: Sendable {
  /// The value of `Sec-WebSocket-Accept`.
  public let accept: String
  /// What the client asked for in `Sec-WebSocket-Protocol`, in its order of preference.
  public let requestedSubprotocols: [String]
  /// What was agreed on for permessage-deflate; nil: messages are not compressed.
  public let deflate: DeflateAgreement?
  private let deflateElement: String?

  /// Checks a request.
  /// - Parameters:
  ///   - deflate: how to compress; nil declines every offer.
  ///   - origins: whose pages may connect.
  /// - Throws: the answer to give instead of 101.
  public init(
    _ request: RequestHead, deflate configuration: DeflateConfiguration? = nil, origins: OriginPolicy = .any
  ) throws(HandshakeRejection) {
    let fields = request.fields
    guard request.method == "GET" else { throw .badRequest("the method must be GET") }
    guard request.minorVersion >= 1 else { throw .badRequest("the version must be HTTP/1.1 or later") }
    try Self.checkNoBody(fields)
    guard fields.hasToken("websocket", in: "Upgrade") else { throw .upgradeRequired("Upgrade must name websocket") }
    guard fields.hasToken("upgrade", in: "Connection") else { throw .badRequest("Connection must name Upgrade") }
    let host = try Self.single("Host", fields)
    guard HostField(host) != nil else { throw .badRequest("Host is malformed") }
    try Self.checkVersion(fields)
    try Self.checkOrigin(fields, host: host, policy: origins)
    let key = try Self.single("Sec-WebSocket-Key", fields)
    guard Base64.decode(key)?.count == 16 else {
      throw .badRequest("Sec-WebSocket-Key must be 16 bytes in base64")
    }
    accept = acceptKey(for: key)
    requestedSubprotocols = try Self.subprotocols(fields)
    let offers = try Self.extensions(fields)
    let answer = configuration.flatMap { DeflateNegotiation.accept(offers, configuration: $0) }
    deflate = answer?.agreement
    deflateElement = answer?.element
  }

  /// The first subprotocol of the client's list that the server supports (§4.2.2); nil: none.
  public func subprotocol(among supported: [String]) -> String? {
    requestedSubprotocols.first { supported.contains($0) }
  }

  /// The headers of the 101 but `Upgrade` and `Connection`.
  /// - Parameter subprotocol: one of `requestedSubprotocols`; others are left out, since a client must then fail.
  public func responseFields(subprotocol: String? = nil) -> [HTTPField] {
    var fields = [HTTPField("Sec-WebSocket-Accept", accept)]
    if let subprotocol, requestedSubprotocols.contains(subprotocol) {
      fields.append(HTTPField("Sec-WebSocket-Protocol", subprotocol))
    }
    if let deflateElement { fields.append(HTTPField("Sec-WebSocket-Extensions", deflateElement)) }
    return fields
  }

  /// The whole 101.
  public func response(subprotocol: String? = nil, additional: [HTTPField] = []) -> ResponseHead {
    ResponseHead(
      status: 101, reason: "Switching Protocols",
      fields: [HTTPField("Upgrade", "websocket"), HTTPField("Connection", "Upgrade")]
        + responseFields(subprotocol: subprotocol) + additional)
  }

  // MARK: Rules

  /// What follows the head is frames; a body would be taken for them.
  private static func checkNoBody(_ fields: [HTTPField]) throws(HandshakeRejection) {
    guard fields.values("Transfer-Encoding").isEmpty, fields.values("Content-Length").allSatisfy({ $0 == "0" }) else {
      throw .badRequest("the request must have no body")
    }
  }

  private static func single(_ name: String, _ fields: [HTTPField]) throws(HandshakeRejection) -> String {
    let values = fields.values(name)
    guard let value = values.first, !value.isEmpty else { throw .badRequest("\(name) is missing") }
    guard values.count == 1 else { throw .badRequest("\(name) stands twice") }
    return value
  }

  private static func checkVersion(_ fields: [HTTPField]) throws(HandshakeRejection) {
    let versions = fields.values("Sec-WebSocket-Version")
    guard versions.count <= 1 else { throw .badRequest("Sec-WebSocket-Version stands twice") }
    guard versions.first == "13" else { throw .upgradeRequired("Sec-WebSocket-Version must be 13") }
  }

  private static func checkOrigin(
    _ fields: [HTTPField], host: String, policy: OriginPolicy
  ) throws(HandshakeRejection) {
    let origins = fields.values("Origin")
    guard origins.count <= 1 else { throw .badRequest("Origin stands twice") }
    guard let origin = origins.first, !policy.allows(origin: origin, host: host) else { return }
    throw .forbidden("pages of this Origin may not connect")
  }

  private static func subprotocols(_ fields: [HTTPField]) throws(HandshakeRejection) -> [String] {
    let names = fields.list("Sec-WebSocket-Protocol")
    guard names.allSatisfy(\.isToken), Set(names).count == names.count else {
      throw .badRequest("Sec-WebSocket-Protocol must list different tokens")
    }
    guard !names.isEmpty || fields.values("Sec-WebSocket-Protocol").isEmpty else {
      throw .badRequest("Sec-WebSocket-Protocol is empty")
    }
    return names
  }

  private static func extensions(_ fields: [HTTPField]) throws(HandshakeRejection) -> [ExtensionElement] {
    guard let elements = ExtensionElement.parse(fields.values("Sec-WebSocket-Extensions")) else {
      throw .badRequest("Sec-WebSocket-Extensions is malformed")
    }
    return elements
  }
}

/// `Sec-WebSocket-Accept` for a key (RFC 6455 §4.2.2, step 5.4).
func acceptKey(for key: String) -> String {
  Base64.encode(SHA1.hash((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
}
