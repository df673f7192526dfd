/// A message in the making: collects fragments, inflates, checks UTF-8 and limits as octets arrive.
struct MessageAssembler {
  let kind: MessageKind
  private(set) var bytes: [UInt8] = []
  private var fragments = 1
  private var text = UTF8Validator()
  /// Set for a compressed message.
  let inflater: Inflater?
  private var hasCompressedOctets = false

  init(kind: MessageKind, inflater: Inflater?) {
    self.kind = kind
    self.inflater = inflater
  }

  /// A further fragment begins.
  mutating func continued(limits: Limits) throws(ProtocolFailure) {
    fragments += 1
    guard fragments <= limits.maximumFragments else { throw .tooManyFragments }
  }

  /// Checks a frame's announced length, before any of it is taken.
  func checkRoom(for payloadLength: Int, limits: Limits) throws(ProtocolFailure) {
    guard inflater == nil else { return }
    guard payloadLength <= limits.maximumMessageSize - bytes.count else { throw .messageTooLarge }
  }

  /// The message's only piece so far: taken over without a copy.
  mutating func adopt(_ whole: [UInt8]) throws(ProtocolFailure) {
    bytes = whole
    guard kind == .text else { return }
    let isValid = bytes.withUnsafeBytes { text.append($0) }
    guard isValid else { throw .invalidUTF8 }
  }

  /// Takes unmasked octets of a frame.
  mutating func append(
    _ octets: UnsafeRawBufferPointer, scratch: UnsafeMutableRawBufferPointer, limits: Limits
  ) throws(ProtocolFailure) {
    guard let inflater else {
      try store(octets)
      return
    }
    if octets.count > 0 { hasCompressedOctets = true }
    try inflater.inflate(octets, scratch: scratch) { piece throws(ProtocolFailure) in
      try storeInflated(piece, limits: limits)
    }
  }

  /// The message is whole.
  mutating func finish(scratch: UnsafeMutableRawBufferPointer, limits: Limits) throws(ProtocolFailure) {
    // A compressed message of no octets at all is taken as empty, though its sender should have sent one (§7.2.3.6).
    if let inflater, hasCompressedOctets {
      try inflater.finish(scratch: scratch) { piece throws(ProtocolFailure) in
        try storeInflated(piece, limits: limits)
      }
    }
    guard kind == .binary || text.isComplete else { throw .invalidUTF8 }
  }

  private mutating func storeInflated(_ piece: UnsafeRawBufferPointer, limits: Limits) throws(ProtocolFailure) {
    let room = min(limits.deflateBomb, limits.maximumMessageSize) - bytes.count
    guard piece.count > room else { return try store(piece) }
    // What comes before the limit fails first, however the octets arrived.
    try store(UnsafeRawBufferPointer(rebasing: piece[..<max(room, 0)]))
    throw limits.deflateBomb <= limits.maximumMessageSize ? .deflateBomb : .messageTooLarge
  }

  private mutating func store(_ piece: UnsafeRawBufferPointer) throws(ProtocolFailure) {
    guard kind == .binary || text.append(piece) else { throw .invalidUTF8 }
    bytes.append(contentsOf: piece)
  }
}
