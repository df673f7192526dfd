import Glibc
import NIOCore

/// Whether the coordinator's address can be listened on, found out before anything is written: a start that fails for
/// the address leaves no folders and no keys.
///
/// The address is free again afterwards. Who takes it before the server does meets the server's own error.
enum ListenProbe {
  /// Throws ``StartError``.
  static func check(_ configuration: CoordinatorConfiguration) throws {
    let address: SocketAddress
    do {
      address = try .makeAddressResolvingHost(configuration.host, port: configuration.port)
    } catch {
      throw StartError(
        "\(configuration.host) is no address, and no name of one", hint: "--host names the address to listen on")
    }
    let code = bindCode(address)
    guard code == 0 else { throw StartError(listening: configuration, code: code) }
  }

  /// Binds as the server will: with SO_REUSEADDR, which lets a restart have the port of connections that have just
  /// ended, but not the port of somebody who listens. Returns the error's number, or 0.
  private static func bindCode(_ address: SocketAddress) -> Int32 {
    let descriptor = socket(
      address.protocol.rawValue, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return errno }
    defer { close(descriptor) }
    var yes: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    return address.withSockAddr { bind(descriptor, $0, socklen_t($1)) == 0 ? 0 : errno }
  }
}
