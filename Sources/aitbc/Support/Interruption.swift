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
}
