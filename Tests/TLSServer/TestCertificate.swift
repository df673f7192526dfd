import COpenSSL
import LoopbackServer
package import TLS

/// A certificate made for tests only, by itself, valid for localhost and 127.0.0.1.
package enum TestCertificate {
  package struct Unusable: Error {}

  /// For the server's side of a connection.
  package static func serverContext() throws -> TLSContext {
    let context = try TLSContext(method: TLS_server_method())
    try withPEM(certificate) { bio in
      let made = PEM_read_bio_X509(bio, nil, nil, nil)
      defer { X509_free(made) }
      guard SSL_CTX_use_certificate(context.pointer, made) == 1 else { throw Unusable() }
    }
    try withPEM(key) { bio in
      let made = PEM_read_bio_PrivateKey(bio, nil, nil, nil)
      defer { EVP_PKEY_free(made) }
      guard SSL_CTX_use_PrivateKey(context.pointer, made) == 1 else { throw Unusable() }
    }
    return context
  }

  /// For a client that trusts this certificate alone.
  package static func clientContext() async throws -> TLSContext {
    try await TemporaryFolder.with { folder in
      try TemporaryFolder.write(Array(certificate.utf8), to: folder + "/authority.pem")
      return try TLSContext(authorities: folder + "/authority.pem")
    }
  }

  private static func withPEM(_ text: String, _ body: (OpaquePointer) throws -> Void) throws {
    let bytes = Array(text.utf8)
    guard let bio = BIO_new_mem_buf(bytes, Int32(bytes.count)) else { throw Unusable() }
    defer { BIO_free(bio) }
    try body(bio)
  }

  private static let key = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgwpe5+sTVQw5yNRQ2
    tralcVI2k5cAq+xTfxrHtDzju3ChRANCAARW0KnVJ3RS/uQM94zesAwBrCx/N559
    mDP/TKSRlavgKfWtsiL9GfudlyOli+0+1jUsKCPQYR0KqgYoczmJKrkS
    -----END PRIVATE KEY-----
    """

  private static let certificate = """
    -----BEGIN CERTIFICATE-----
    MIIBmjCCAUGgAwIBAgIUSt125GJzE8nO7RhEpeRUAbwCHV0wCgYIKoZIzj0EAwIw
    FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTA5NDM0NVoYDzIxMjYxMDI4
    MDk0MzQ1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
    PQMBBwNCAARW0KnVJ3RS/uQM94zesAwBrCx/N559mDP/TKSRlavgKfWtsiL9Gfud
    lyOli+0+1jUsKCPQYR0KqgYoczmJKrkSo28wbTAdBgNVHQ4EFgQUU6avHSB7ctvA
    kcko9vmpxfEDRCswHwYDVR0jBBgwFoAUU6avHSB7ctvAkcko9vmpxfEDRCswDwYD
    VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
    zj0EAwIDRwAwRAIgOjYZ8Wc8Xaa0wWtQwCTAqKhByGyuaco5gwPKWAdCAmQCIGUi
    TLLVRShjrJBXNxBxYXxLDP+IrUm5tF2rBeFGq2jZ
    -----END CERTIFICATE-----
    """
}
