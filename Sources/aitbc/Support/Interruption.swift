import Dispatch
import Glibc

/// Ctrl-C: the first cancels the command, which then says what goes on without it; the second ends the process.
enum Interruption {
  static func cancel(_ work: Task<Int32, Never>) -> any DispatchSourceSignal {
    signal(SIGINT, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
    source.setEventHandler {
      if work.isCancelled { _exit(ExitStatus.interrupted.rawValue) }
      work.cancel()
    }
    source.resume()
    return source
  }

  /// Calls `body` for each of these signals instead of ending the process, until the sources are canceled.
  static func forward(_ signals: [Int32], _ body: @escaping @Sendable () -> Void) -> [any DispatchSourceSignal] {
    signals.map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler(handler: body)
      source.resume()
      return source
    }
  }
}
