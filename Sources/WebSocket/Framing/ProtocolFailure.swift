/// Why a connection fails (RFC 6455 §7.1.7): the close code to send and a reason in plain words, at most 123 bytes.
/// Every error of the receiving side is one of the values below; there are no others.
public struct ProtocolFailure: Error, Hashable, Sendable, CustomStringConvertible {
  public let code: CloseCode
  public let reason: String

  init(_ code: CloseCode, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  public var description: String { "\(code.rawValue) \(reason)" }
}

extension ProtocolFailure {
  // RFC 6455 §5.2: the first two octets.
  public static let reservedBits = ProtocolFailure(.protocolError, "a reserved bit is set")
  public static let unknownOpcode = ProtocolFailure(.protocolError, "the opcode is reserved")
  public static let unmaskedFrame = ProtocolFailure(.protocolError, "a client must mask its frames")
  public static let maskedFrame = ProtocolFailure(.protocolError, "a server must not mask its frames")
  // §5.2: lengths.
  public static let lengthNotMinimal = ProtocolFailure(.protocolError, "the length is not minimally encoded")
  public static let lengthTooLarge = ProtocolFailure(.protocolError, "the length has its top bit set")
  // §5.4 and §5.5: fragments and control frames.
  public static let fragmentedControlFrame = ProtocolFailure(.protocolError, "a control frame is fragmented")
  public static let controlFrameTooLong = ProtocolFailure(.protocolError, "a control frame is longer than 125 bytes")
  public static let unexpectedContinuation = ProtocolFailure(.protocolError, "there is no message to continue")
  public static let messageInterrupted = ProtocolFailure(.protocolError, "a message begins inside another")
  // §5.5.1 and §7.4: close frames.
  public static let closePayloadTooShort = ProtocolFailure(.protocolError, "a close frame with one byte of payload")
  public static let invalidCloseCode = ProtocolFailure(.protocolError, "the close code may not be sent")
  // §8.1 and RFC 7692 §7.2.2: payloads.
  public static let invalidUTF8 = ProtocolFailure(.invalidPayload, "text that is not UTF-8")
  public static let invalidDeflate = ProtocolFailure(.invalidPayload, "compressed data that cannot be inflated")
  // Our limits.
  public static let frameTooLarge = ProtocolFailure(.messageTooBig, "the frame is larger than the limit")
  public static let messageTooLarge = ProtocolFailure(.messageTooBig, "the message is larger than the limit")
  public static let deflateBomb = ProtocolFailure(.messageTooBig, "the inflated message is larger than the limit")
  public static let tooManyFragments = ProtocolFailure(.policyViolation, "the message has too many fragments")
  public static let tooManyControlFrames = ProtocolFailure(.policyViolation, "too many control frames in one second")
  /// zlib could not get memory.
  public static let outOfMemory = ProtocolFailure(.internalError, "out of memory for compression")

  /// All of them, for tests and fuzzing.
  public static let all: [ProtocolFailure] = [
    reservedBits, unknownOpcode, unmaskedFrame, maskedFrame, lengthNotMinimal, lengthTooLarge, fragmentedControlFrame,
    controlFrameTooLong, unexpectedContinuation, messageInterrupted, closePayloadTooShort, invalidCloseCode,
    invalidUTF8, invalidDeflate, frameTooLarge, messageTooLarge, deflateBomb, tooManyFragments, tooManyControlFrames,
    outOfMemory,
  ]
}
