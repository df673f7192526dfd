import CEpoll

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The few calls on sockets that go past NIO.
enum SystemCalls {
  /// One send(2) that never waits and raises no signal; -1 with `errno`.
  @inline(__always)
  static func send(_ socket: CInt, _ bytes: UnsafeRawBufferPointer) -> Int {
    #if canImport(Glibc)
      Glibc.send(socket, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
    #else
      Musl.send(socket, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
    #endif
  }

  /// What a recv(2) gave.
  enum Received {
    case bytes(Int)
    /// The peer sends nothing more.
    case end
    case nothing
    case failure(String)
  }

  static func receive(_ socket: CInt, into buffer: UnsafeMutableRawBufferPointer) -> Received {
    let count = recv(socket, buffer.baseAddress, buffer.count, CInt(MSG_DONTWAIT))
    if count > 0 { return .bytes(count) }
    if count == 0 { return .end }
    return errno == EAGAIN || errno == EINTR ? .nothing : .failure(String(cString: strerror(errno)))
  }

  /// Another number for the same socket, closed in child processes; -1 when there are no more numbers.
  static func duplicate(_ socket: CInt) -> CInt { fcntl(socket, F_DUPFD_CLOEXEC, 0) }

  static func close(_ descriptor: CInt) {
    #if canImport(Glibc)
      Glibc.close(descriptor)
    #else
      Musl.close(descriptor)
    #endif
  }

  /// Bounds what the kernel keeps for a peer that reads slowly; nothing happens where the socket is not TCP.
  static func limitUnsent(_ socket: CInt, to bytes: Int) { _ = aitbc_limit_unsent(socket, CInt(clamping: bytes)) }

  /// Nil where the socket is not TCP.
  static func progress(_ socket: CInt) -> SocketProgress? {
    let (taken, outstanding) = (aitbc_bytes_acknowledged(socket), aitbc_bytes_outstanding(socket))
    return taken < 0 || outstanding < 0 ? nil : SocketProgress(taken: taken, outstanding: Int64(outstanding))
  }

  static func shutDownSending(_ socket: CInt) { shutdown(socket, CInt(SHUT_WR)) }

  /// Cores that this process may use.
  static var coreCount: Int { max(1, Int(aitbc_usable_cores())) }
}
