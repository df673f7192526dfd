import Synchronization
import TestRandomness
import WebSocket

extension SeededGenerator {
  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) } }

  /// Text with characters of every UTF-8 length.
  mutating func text(_ count: Int) -> String {
    let alphabet: [Character] = ["a", "b", " ", "7", "é", "Ω", "—", "汉", "🧪", "\u{10FFFF}", "\u{80}", "\u{800}"]
    return String((0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &self)] })
  }
}

/// One end of a connection.
final class Endpoint {
  var machine: ConnectionMachine
  private static let keys = Atomic<UInt64>(1)

  init(
    _ role: Role, limits: Limits = Limits(), deflate: DeflateAgreement? = nil, threshold: Int = 0,
    pool: DeflatePool = DeflatePool(), maskingKey: MaskingKey? = nil
  ) {
    machine = ConnectionMachine(
      role: role, limits: limits, deflate: deflate, threshold: threshold, pool: pool,
      maskingKeys: {
        if let maskingKey { return maskingKey }
        var random = SeededGenerator(seed: Self.keys.add(1, ordering: .relaxed).newValue)
        return MaskingKey(UInt32(truncatingIfNeeded: random.next()))
      })
  }

  // The machine cannot be copied, so #expect cannot take it apart: these can be called there.
  var phase: Phase { machine.phase }
  func send(_ kind: MessageKind, _ payload: [UInt8], compress: Bool = true) -> [UInt8]? {
    machine.send(kind, payload, compress: compress)
  }
  func ping(_ payload: [UInt8] = []) -> [UInt8]? { machine.ping(payload) }
  func close(_ status: CloseStatus) -> [UInt8]? { machine.close(status) }
  func admitsSharedCompression(payloadLength: Int) -> Bool {
    machine.admitsSharedCompression(payloadLength: payloadLength)
  }

  /// All events of these octets.
  func receive(_ bytes: [UInt8], at now: UInt64 = 0) -> [Event] {
    bytes.withUnsafeBytes { raw in
      var input = raw
      var events: [Event] = []
      while let event = machine.next(&input, at: now) { events.append(event) }
      return events
    }
  }

  /// All events when the octets come in these pieces.
  func receive(_ bytes: [UInt8], cutting sizes: () -> Int) -> [Event] {
    var events: [Event] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let size = min(max(sizes(), 1), rest.count)
      events += receive(Array(rest.prefix(size)))
      rest = rest.dropFirst(size)
    }
    return events
  }
}

/// A frame written without the encoder under test: any bits, any length form.
func rawFrame(
  first: UInt8, payload: [UInt8] = [], mask: [UInt8]? = [0x12, 0x34, 0x56, 0x78], lengthOctets: Int? = nil
) -> [UInt8] {
  let form = lengthOctets ?? (payload.count < 126 ? 0 : payload.count <= 0xFFFF ? 2 : 8)
  let maskBit: UInt8 = mask == nil ? 0 : 0x80
  var bytes = [first, maskBit | (form == 0 ? UInt8(payload.count) : form == 2 ? 126 : 127)]
  for shift in (0..<form).reversed() { bytes.append(UInt8(payload.count >> (8 * shift) & 0xFF)) }
  if let mask {
    bytes += mask
    bytes += payload.enumerated().map { $1 ^ mask[$0 % 4] }
  } else {
    bytes += payload
  }
  return bytes
}

/// The failure among the events, if it is the last one.
func failure(_ events: [Event]) -> ProtocolFailure? {
  if case .failure(let failure, _) = events.last { failure } else { nil }
}
