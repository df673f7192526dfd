import COpenSSL
import Glibc

/// What the TLS connections of one client have in common: the authorities it trusts. TLS 1.2 and above.
public final class TLSContext: @unchecked Sendable {
  // Sendable: OpenSSL counts references to an SSL_CTX atomically, and nothing changes it once it is made.
  package let pointer: OpaquePointer

  /// Trusts the system's authorities, or those that the environment's `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
  /// Throws ``TLSFailure/setup(_:)``.
  public convenience init() throws(TLSFailure) {
    try self.init(method: TLS_client_method())
    guard SSL_CTX_set_default_verify_paths(pointer) == 1 else { throw .setup(TLSFailure.queued()) }
    // OpenSSL passes over a file that is not there or holds no certificate; its user should hear of it.
    if let named = getenv("SSL_CERT_FILE"), named.pointee != 0, SSL_CTX_load_verify_file(pointer, named) != 1 {
      throw .setup("SSL_CERT_FILE names \(String(cString: named)): \(TLSFailure.queued())")
    }
    try verifyPeers()
  }

  /// Trusts the authorities in a PEM file, and no others. Throws ``TLSFailure/setup(_:)``.
  public convenience init(authorities path: String) throws(TLSFailure) {
    try self.init(method: TLS_client_method())
    guard SSL_CTX_load_verify_file(pointer, path) == 1 else { throw .setup("\(path): \(TLSFailure.queued())") }
    try verifyPeers()
  }

  /// For either role, nothing trusted yet.
  package init(method: OpaquePointer?) throws(TLSFailure) {
    ERR_clear_error()
    guard let context = SSL_CTX_new(method) else { throw .setup(TLSFailure.queued()) }
    pointer = context
    guard aitbc_ssl_ctx_require_tls12(context) == 1 else { throw .setup(TLSFailure.queued()) }
  }

  deinit { SSL_CTX_free(pointer) }

  private func verifyPeers() throws(TLSFailure) {
    SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
    // A proxy that speaks HTTP/2 too must not choose it (RFC 7301).
    let protocols: [UInt8] = [8] + Array("http/1.1".utf8)
    guard SSL_CTX_set_alpn_protos(pointer, protocols, UInt32(protocols.count)) == 0 else {
      throw .setup(TLSFailure.queued())
    }
  }
}
