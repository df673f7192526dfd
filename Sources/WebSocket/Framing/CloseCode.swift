/// Why a connection was closed (RFC 6455 §7.4 and the IANA registry of WebSocket close codes).
public struct CloseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  public let rawValue: UInt16

  public init(rawValue: UInt16) { self.rawValue = rawValue }
  public init(_ rawValue: UInt16) { self.rawValue = rawValue }

  public static let normal = CloseCode(1000)
  public static let goingAway = CloseCode(1001)
  public static let protocolError = CloseCode(1002)
  public static let unsupportedData = CloseCode(1003)
  /// Never on the wire: the peer's close frame had no code.
  public static let noStatus = CloseCode(1005)
  /// Never on the wire: the connection ended without a close frame.
  public static let abnormal = CloseCode(1006)
  public static let invalidPayload = CloseCode(1007)
  public static let policyViolation = CloseCode(1008)
  public static let messageTooBig = CloseCode(1009)
  public static let mandatoryExtension = CloseCode(1010)
  public static let internalError = CloseCode(1011)
  public static let serviceRestart = CloseCode(1012)
  public static let tryAgainLater = CloseCode(1013)
  public static let badGateway = CloseCode(1014)

  /// Whether an endpoint may send the code: 1000–1014 without the four that are reserved or local (1004, 1005, 1006,
  /// and 1015), 3000–3999 (registered) and 4000–4999 (private).
  public var isSendable: Bool {
    switch rawValue {
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
  }

  public var description: String { String(rawValue) }
}

/// The content of a close frame.
public struct CloseStatus: Hashable, Sendable {
  /// `noStatus` when the frame was empty.
  public let code: CloseCode
  public let reason: String

  public init(_ code: CloseCode, reason: String = "") {
    self.code = code
    self.reason = reason
  }

  /// A reason has at most this many UTF-8 bytes: 125 less the code.
  public static let maximumReasonLength = maximumControlPayload - 2

  /// The payload of a close frame: empty for `noStatus`. A reason that is too long is cut between characters.
  public var payload: [UInt8] {
    guard code != .noStatus else { return [] }
    var bytes = [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xFF)]
    var room = Self.maximumReasonLength
    for scalar in reason.unicodeScalars {
      let encoded = UTF8.encode(scalar).map(Array.init) ?? []
      guard encoded.count <= room else { break }
      room -= encoded.count
      bytes += encoded
    }
    return bytes
  }

  /// Reads a whole close payload that `CloseValidator` has passed.
  init(validated payload: some Collection<UInt8>) {
    let bytes = Array(payload)
    guard bytes.count >= 2 else {
      self.init(.noStatus)
      return
    }
    self.init(CloseCode(UInt16(bytes[0]) << 8 | UInt16(bytes[1])), reason: String(decoding: bytes[2...], as: UTF8.self))
  }
}

/// Checks a close frame's payload octet by octet, so that the first bad one fails the connection.
struct CloseValidator: Sendable {
  private var count = 0
  private var code: UInt16 = 0
  private var text = UTF8Validator()

  mutating func append(_ bytes: UnsafeRawBufferPointer) throws(ProtocolFailure) {
    var index = 0
    while count < 2, index < bytes.count {
      code = code << 8 | UInt16(bytes[index])
      count += 1
      index += 1
      if count == 2, !CloseCode(code).isSendable { throw .invalidCloseCode }
    }
    guard index < bytes.count else { return }
    count += bytes.count - index
    guard text.append(UnsafeRawBufferPointer(rebasing: bytes[index...])) else { throw .invalidUTF8 }
  }

  mutating func finish() throws(ProtocolFailure) {
    guard count != 1 else { throw .closePayloadTooShort }
    guard text.isComplete else { throw .invalidUTF8 }
  }
}
