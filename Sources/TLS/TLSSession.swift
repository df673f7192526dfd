import COpenSSL
package import NIOCore

/// One TLS connection without its socket: octets of the network in and out on one side, plain ones on the other.
///
/// Belongs to one event loop.
package final class TLSSession {
  package enum Role { case client, server }

  /// What reading gave.
  package enum Reading { case bytes, nothing, closed }

  private let ssl: OpaquePointer
  private let incoming: OpaquePointer
  private let outgoing: OpaquePointer

  /// - Parameter host: the name or address that the peer's certificate must be for; nil, at a server: any.
  package init(_ context: TLSContext, role: Role, host: String?) throws(TLSFailure) {
    ERR_clear_error()
    guard let ssl = SSL_new(context.pointer) else { throw .setup(TLSFailure.queued()) }
    guard let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
      SSL_free(ssl)
      throw .setup(TLSFailure.queued())
    }
    self.ssl = ssl
    self.incoming = incoming
    self.outgoing = outgoing
    // The BIOs are the session's from here on and go with it.
    SSL_set_bio(ssl, incoming, outgoing)
    switch role {
    case .client: SSL_set_connect_state(ssl)
    case .server: SSL_set_accept_state(ssl)
    }
    if let host { try expect(host) }
  }

  deinit { SSL_free(ssl) }

  /// RFC 9110 §4.3.4: the certificate is for the host that was asked for. An address can't stand in SNI (RFC 6066 §3).
  private func expect(_ host: String) throws(TLSFailure) {
    if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1 { return }
    ERR_clear_error()
    SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
    guard SSL_set1_host(ssl, host) == 1, aitbc_ssl_set_server_name(ssl, host) == 1 else {
      throw .setup(TLSFailure.queued())
    }
  }

  /// Takes what came from the network.
  package func receive(_ buffer: ByteBuffer) throws(TLSFailure) {
    var rest = buffer.readableBytesView[...]
    while !rest.isEmpty {
      let taken = rest.withUnsafeBytes { BIO_write(incoming, $0.baseAddress, Int32(clamping: $0.count)) }
      guard taken > 0 else { throw .setup("no memory") }
      rest = rest.dropFirst(Int(taken))
    }
  }

  /// What is to go to the network; nil when there is nothing.
  package func takeOutput() -> ByteBuffer? {
    let count = BIO_ctrl_pending(outgoing)
    guard count > 0 else { return nil }
    var buffer = ByteBufferAllocator().buffer(capacity: count)
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in
      Int(max(0, BIO_read(outgoing, space.baseAddress, Int32(clamping: count))))
    }
    return buffer.readableBytes > 0 ? buffer : nil
  }

  /// Goes on with the handshake. False: it needs more from the network.
  package func handshake() throws(TLSFailure) -> Bool {
    ERR_clear_error()
    let result = SSL_do_handshake(ssl)
    if result == 1 { return true }
    guard SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ else { throw failure() }
    return false
  }

  /// Adds plain octets to `buffer`, up to one record's.
  package func read(into buffer: inout ByteBuffer) throws(TLSFailure) -> Reading {
    ERR_clear_error()
    var result: Int32 = 0
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Int(SSL3_RT_MAX_PLAIN_LENGTH)) { space in
      var count = 0
      result = SSL_read_ex(ssl, space.baseAddress, space.count, &count)
      return result == 1 ? count : 0
    }
    if result == 1 { return .bytes }
    return switch SSL_get_error(ssl, result) {
    case SSL_ERROR_WANT_READ: .nothing
    case SSL_ERROR_ZERO_RETURN: .closed
    default: throw failure()
    }
  }

  /// Encrypts plain octets; ``takeOutput()`` has them then.
  package func write(_ buffer: ByteBuffer) throws(TLSFailure) {
    guard buffer.readableBytes > 0 else { return }
    ERR_clear_error()
    let result = buffer.withUnsafeReadableBytes { bytes in
      var count = 0
      return SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &count)
    }
    guard result == 1 else { throw failure() }
  }

  /// Tells the peer that nothing more comes (`close_notify`).
  package func shutdown() {
    ERR_clear_error()
    SSL_shutdown(ssl)
    ERR_clear_error()
  }

  private func failure() -> TLSFailure {
    let verification = SSL_get_verify_result(ssl)
    let reason = TLSFailure.queued()
    guard verification != X509_V_OK else { return .protocolError(reason) }
    return .certificate(String(cString: X509_verify_cert_error_string(verification)))
  }
}
