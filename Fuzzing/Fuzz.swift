import Glibc
import WebSocket

/// One executable for all targets; `FUZZ_TARGET` chooses. A broken expectation stops the process, which the fuzzer
/// reports with the input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeBufferPointer(start: start, count: count)
  switch target {
  case "frames": FrameTarget.run(Array(input))
  case "handshake": HandshakeTarget.run(Array(input))
  case "deflate": DeflateTarget.run(Array(input))
  default: expect(false, "FUZZ_TARGET is frames, handshake or deflate")
  }
  return 0
}

private let target = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""

/// Unlike `precondition` it tells in release builds too what was wrong.
func expect(_ condition: Bool, _ message: @autoclosure () -> String) {
  guard !condition else { return }
  let line = Array("fuzz: \(message())\n".utf8)
  _ = write(STDERR_FILENO, line, line.count)
  abort()
}

/// One end of a connection.
final class End {
  var machine: ConnectionMachine

  init(_ role: Role, limits: Limits = Limits(), deflate: DeflateAgreement? = nil, pool: DeflatePool = DeflatePool()) {
    machine = ConnectionMachine(
      role: role, limits: limits, deflate: deflate, threshold: 0, pool: pool,
      maskingKeys: { MaskingKey(0x3D21_FA37) })
  }

  func receive(_ octets: ArraySlice<UInt8>) -> [Event] {
    octets.withUnsafeBytes { raw in
      var input = raw
      var events: [Event] = []
      while let event = machine.next(&input, at: 0) { events.append(event) }
      expect(input.count == 0, "octets are left")
      return events
    }
  }
}
