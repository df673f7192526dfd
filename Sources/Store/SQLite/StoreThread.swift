import Glibc

/// Runs `body` on a new thread of its own: SQLite blocks on the disk, and the cooperative pool must not.
/// Throws ``StoreError/failed(_:)`` when the system gives no thread.
func startThread(_ body: @escaping @Sendable () -> Void) throws(StoreError) {
  var thread = pthread_t()
  let argument = Unmanaged.passRetained(ThreadBody(body))
  let code = pthread_create(&thread, nil, runThread, argument.toOpaque())
  guard code == 0 else {
    argument.release()
    throw .failed("pthread_create: error \(code)")
  }
  pthread_detach(thread)
}

private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private func runThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument else { return nil }
  Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
  return nil
}
