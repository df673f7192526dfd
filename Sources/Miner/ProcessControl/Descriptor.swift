import CSupervisor
import Glibc
import ResultPackage

/// An open file descriptor that is closed exactly once: when its owner goes away, or by whoever it was released to.
struct Descriptor: ~Copyable {
  let raw: Int32

  init(owning raw: Int32) { self.raw = raw }

  /// Opens a path, close-on-exec. Throws ``FileError``.
  init(opening path: String, _ flags: Int32, mode: mode_t = 0o600) throws(FileError) {
    let raw = open(path, flags | O_CLOEXEC, mode)
    guard raw >= 0 else { throw FileError(path: path, operation: "open", code: errno) }
    self.raw = raw
  }

  deinit { close(raw) }

  /// Hands the number on; its new owner closes it.
  consuming func release() -> Int32 {
    let number = raw
    discard self
    return number
  }
}

/// Both ends of a pipe or a socket pair, close-on-exec.
struct DescriptorPair: ~Copyable {
  /// The miner's end.
  var near: Descriptor
  /// The end that the supervisor gets.
  var far: Descriptor

  /// The miner reads, the supervisor writes.
  static func pipe() throws(FileError) -> DescriptorPair {
    var ends: [Int32] = [-1, -1]
    let code = aitbc_pipe(&ends)
    guard code == 0 else { throw FileError(path: "pipe", operation: "create", code: code) }
    return DescriptorPair(near: Descriptor(owning: ends[0]), far: Descriptor(owning: ends[1]))
  }

  /// Both write, both read.
  static func socketPair() throws(FileError) -> DescriptorPair {
    var ends: [Int32] = [-1, -1]
    let code = aitbc_socket_pair(&ends)
    guard code == 0 else { throw FileError(path: "socket pair", operation: "create", code: code) }
    return DescriptorPair(near: Descriptor(owning: ends[0]), far: Descriptor(owning: ends[1]))
  }
}
