import WebSocket

/// Collects the body of a refusal, however it is delimited (RFC 9112 §6).
struct ResponseBody {
  /// Bytes kept. Default 64 KiB; what comes after is dropped and ends the body.
  static let maximumSize = 64 << 10

  private enum Framing {
    case length(remaining: Int)
    case chunked(ChunkedBody)
    case untilEnd
  }

  private(set) var bytes: [UInt8] = []
  private(set) var isComplete = false
  private var framing: Framing

  init(_ head: ResponseHead) {
    let codings = head.fields.filter { $0.name.lowercased() == "transfer-encoding" }
    let length = head.fields.first { $0.name.lowercased() == "content-length" }.flatMap { Int($0.value) }
    if codings.contains(where: { $0.value.lowercased().hasSuffix("chunked") }) {
      framing = .chunked(ChunkedBody())
    } else if let length {
      framing = .length(remaining: max(length, 0))
      isComplete = length <= 0
    } else {
      framing = .untilEnd
    }
    if head.status == 204 || head.status == 304 { isComplete = true }
  }

  mutating func append(_ octets: UnsafeRawBufferPointer) {
    guard !isComplete else { return }
    switch framing {
    case .length(let remaining):
      let count = min(remaining, octets.count)
      bytes.append(contentsOf: octets[..<count])
      framing = .length(remaining: remaining - count)
      isComplete = remaining == count
    case .chunked(var chunked):
      isComplete = chunked.append(octets, to: &bytes)
      framing = .chunked(chunked)
    case .untilEnd:
      bytes.append(contentsOf: octets)
    }
    if bytes.count >= Self.maximumSize {
      bytes.removeLast(bytes.count - Self.maximumSize)
      isComplete = true
    }
  }
}

/// The chunked coding (RFC 9112 §7.1); extensions and trailers are skipped.
struct ChunkedBody {
  private enum State {
    case size(UInt64, digits: Int)
    case sizeLineEnd(UInt64)
    case data(remaining: UInt64)
    case dataLineEnd
  }

  private var state = State.size(0, digits: 0)

  /// True: the last chunk has been seen, or what came is not this coding.
  mutating func append(_ octets: UnsafeRawBufferPointer, to bytes: inout [UInt8]) -> Bool {
    var index = 0
    while index < octets.count {
      switch state {
      case .size(let size, let digits):
        guard let value = Character(UnicodeScalar(octets[index])).hexDigitValue else {
          guard digits > 0 else { return true }
          state = .sizeLineEnd(size)
          continue
        }
        guard digits < 15 else { return true }
        state = .size(size << 4 | UInt64(value), digits: digits + 1)
        index += 1
      case .sizeLineEnd(let size):
        if octets[index] == UInt8(ascii: "\n") {
          guard size > 0 else { return true }
          state = .data(remaining: size)
        }
        index += 1
      case .data(let remaining):
        let count = Int(min(remaining, UInt64(octets.count - index)))
        bytes.append(contentsOf: octets[index..<(index + count)])
        index += count
        state = remaining == UInt64(count) ? .dataLineEnd : .data(remaining: remaining - UInt64(count))
      case .dataLineEnd:
        if octets[index] == UInt8(ascii: "\n") { state = .size(0, digits: 0) }
        index += 1
      }
    }
    return false
  }
}
