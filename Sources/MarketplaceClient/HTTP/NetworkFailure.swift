import NIOCore
import NIOPosix
import TLS

/// Network errors in words: which phase failed, and why.
enum NetworkFailure {
  static func describe(_ error: any Error) -> String {
    switch error {
    case let error as NIOConnectionError: connection(error)
    case let error as IOError: errorText(error.errnoCode).lowercased()
    case let error as ConnectionFailure: error.description
    case let error as TLSFailure: error.description
    case let error as ChannelError: channel(error)
    default: String(describing: error)
    }
  }

  private static func connection(_ error: NIOConnectionError) -> String {
    if let first = error.connectionErrors.first {
      if let reason = first.error as? IOError { return errorText(reason.errnoCode).lowercased() }
      return describe(first.error)
    }
    return "the name \(error.host) is not known"
  }

  private static func channel(_ error: ChannelError) -> String {
    switch error {
    case .connectTimeout: "no connection within the time allowed"
    case .inputClosed, .outputClosed, .ioOnClosedChannel, .alreadyClosed, .eof: "the connection was closed"
    default: String(describing: error)
    }
  }
}
