/// What both ends agreed on for permessage-deflate (RFC 7692 §7.1).
public struct DeflateAgreement: Hashable, Sendable {
  /// The server compresses each message on its own.
  public var serverNoContextTakeover: Bool
  /// The client compresses each message on its own.
  public var clientNoContextTakeover: Bool
  /// Base-2 logarithm of the server's LZ77 window, 8 to 15.
  public var serverMaxWindowBits: Int
  /// Base-2 logarithm of the client's LZ77 window, 8 to 15.
  public var clientMaxWindowBits: Int

  public init(
    serverNoContextTakeover: Bool = false, clientNoContextTakeover: Bool = false, serverMaxWindowBits: Int = 15,
    clientMaxWindowBits: Int = 15
  ) {
    self.serverNoContextTakeover = serverNoContextTakeover
    self.clientNoContextTakeover = clientNoContextTakeover
    self.serverMaxWindowBits = serverMaxWindowBits
    self.clientMaxWindowBits = clientMaxWindowBits
  }

  /// One direction of the agreement.
  struct Direction {
    var keepsContext: Bool
    var windowBits: Int
  }

  /// How the end with this role sends.
  func sending(by role: Role) -> Direction {
    switch role {
    case .server: Direction(keepsContext: !serverNoContextTakeover, windowBits: serverMaxWindowBits)
    case .client: Direction(keepsContext: !clientNoContextTakeover, windowBits: clientMaxWindowBits)
    }
  }

  /// How the end with this role receives.
  func receiving(by role: Role) -> Direction { sending(by: role == .server ? .client : .server) }
}

/// How an end wants to use permessage-deflate.
public struct DeflateConfiguration: Hashable, Sendable {
  /// Whether the server may refer to earlier messages when it compresses. Default false: it costs 256 KiB a
  /// connection, and without it one compressed copy of a message serves all connections.
  public var serverContextTakeover: Bool
  /// The same for the client. Default false: it costs the server 40 KiB a connection.
  public var clientContextTakeover: Bool
  /// The server's window, 8 to 15. Default 15.
  public var serverMaxWindowBits: Int
  /// The client's window, 8 to 15. Default 15.
  public var clientMaxWindowBits: Int
  /// Messages with fewer bytes are sent as they are. Default 64.
  public var threshold: Int

  public init(
    serverContextTakeover: Bool = false, clientContextTakeover: Bool = false, serverMaxWindowBits: Int = 15,
    clientMaxWindowBits: Int = 15, threshold: Int = 64
  ) {
    self.serverContextTakeover = serverContextTakeover
    self.clientContextTakeover = clientContextTakeover
    self.serverMaxWindowBits = min(max(serverMaxWindowBits, 8), 15)
    self.clientMaxWindowBits = min(max(clientMaxWindowBits, 8), 15)
    self.threshold = threshold
  }
}
