import CEpoll
import Dispatch
import NIOConcurrencyHelpers
import NIOCore
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// An event loop with a thread of its own that serves sockets which left NIO: epoll, tasks, timers. It is a NIO
/// `EventLoop`, so whoever runs on one need not know the difference.
///
/// `@unchecked Sendable`: what is not behind the lock is touched by the loop's thread only.
final class SocketLoop: EventLoop, @unchecked Sendable {
  typealias Job = @Sendable () -> Void

  private struct Queue {
    var jobs: [Job] = []
    /// The thread waits in epoll, or is about to.
    var isAsleep = false
  }

  /// Octets taken from a socket at a time. Default 64 KiB, shared by all sockets of the loop.
  static let readSize = 64 << 10
  private static let eventCount = 256

  private let poll: CInt
  private let alarm: CInt
  private let queue = Mutex(Queue())
  private let thread = Atomic<UInt>(0)
  private let lastTimer = Atomic<UInt64>(0)
  private var timers = TimerQueue()
  /// By the number of their socket.
  private var carriers: ContiguousArray<SocketCarrier?> = []
  private(set) var readBuffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)

  /// Its thread runs until the process ends.
  init() {
    poll = epoll_create1(CInt(EPOLL_CLOEXEC))
    alarm = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
    precondition(poll >= 0 && alarm >= 0, "no descriptors for an event loop")
    var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(fd: alarm))
    epoll_ctl(poll, EPOLL_CTL_ADD, alarm, &event)
    var id = pthread_t()
    let result = pthread_create(
      &id, nil,
      { raw in
        if let raw { Unmanaged<SocketLoop>.fromOpaque(raw).takeRetainedValue().run() }
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    precondition(result == 0, "no thread for an event loop")
  }

  // MARK: Sockets

  func register(_ carrier: SocketCarrier) -> Bool {
    var event = epoll_event(events: carrier.interest, data: epoll_data_t(fd: carrier.socket))
    guard epoll_ctl(poll, EPOLL_CTL_ADD, carrier.socket, &event) == 0 else { return false }
    let index = Int(carrier.socket)
    while carriers.count <= index { carriers.append(nil) }
    carriers[index] = carrier
    return true
  }

  func update(_ carrier: SocketCarrier) {
    var event = epoll_event(events: carrier.interest, data: epoll_data_t(fd: carrier.socket))
    epoll_ctl(poll, EPOLL_CTL_MOD, carrier.socket, &event)
  }

  /// Events of this socket that were taken from the kernel already are dropped; its number is given to no new carrier
  /// before they have been, since carriers come with tasks.
  func deregister(_ carrier: SocketCarrier) {
    epoll_ctl(poll, EPOLL_CTL_DEL, carrier.socket, nil)
    carriers[Int(carrier.socket)] = nil
  }

  func forEachCarrier(_ body: (SocketCarrier) -> Void) {
    for carrier in carriers { if let carrier { body(carrier) } }
  }

  // MARK: The thread

  private func run() {
    thread.store(UInt(pthread_self()), ordering: .releasing)
    readBuffer = .allocate(byteCount: Self.readSize, alignment: 16)
    let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.eventCount)
    while true {
      let count = epoll_wait(poll, events, CInt(Self.eventCount), timeout())
      for index in 0..<Int(max(count, 0)) { handle(events[index]) }
      for job in takeJobs() { job() }
      let now = NIODeadline.now()
      while let job = timers.take(at: now) { job() }
    }
  }

  private func handle(_ event: epoll_event) {
    let socket = event.data.fd
    guard socket != alarm else {
      var count: UInt64 = 0
      read(alarm, &count, MemoryLayout<UInt64>.size)
      return
    }
    carriers[Int(socket)]?.ready(event.events)
  }

  /// Milliseconds to wait: 0 when there is something to do, -1 when there is nothing.
  private func timeout() -> CInt {
    let isIdle = queue.withLock { queue in
      queue.isAsleep = queue.jobs.isEmpty
      return queue.isAsleep
    }
    guard isIdle else { return 0 }
    guard let next = timers.next else { return -1 }
    let left = (next - .now()).nanoseconds
    // Rounded up, so that the timer is due when the wait is over.
    return CInt(clamping: max(0, (left + 999_999) / 1_000_000))
  }

  private func takeJobs() -> [Job] {
    queue.withLock { queue in
      queue.isAsleep = false
      defer { queue.jobs = [] }
      return queue.jobs
    }
  }

  // MARK: EventLoop

  var inEventLoop: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

  func execute(_ task: @escaping @Sendable () -> Void) {
    let wakes = queue.withLock { queue in
      queue.jobs.append(task)
      defer { queue.isAsleep = false }
      return queue.isAsleep
    }
    guard wakes else { return }
    var one: UInt64 = 1
    write(alarm, &one, MemoryLayout<UInt64>.size)
  }

  @discardableResult
  func scheduleTask<T>(deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
    let promise = makePromise(of: T.self)
    let id = lastTimer.add(1, ordering: .relaxed).newValue
    onLoop {
      self.timers.add(id, at: deadline) {
        do { promise.assumeIsolated().succeed(try task()) } catch { promise.fail(error) }
      }
    }
    return Scheduled(promise: promise) { self.onLoop { self.timers.remove(id) } }
  }

  @discardableResult
  func scheduleTask<T>(in time: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
    scheduleTask(deadline: .now() + time, task)
  }

  private func onLoop(_ body: @escaping Job) { if inEventLoop { body() } else { execute(body) } }

  /// It serves the whole process and is never shut down.
  func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
    queue.async { callback(EventLoopError.unsupportedOperation) }
  }
}

/// The loops for sockets that left NIO, one for each core that the process may use, started when the first is needed.
enum SocketLoops {
  static let all = (0..<SystemCalls.coreCount).map { _ in SocketLoop() }
  private static let turn = Atomic<Int>(0)

  /// By turns.
  static func next() -> SocketLoop { all[turn.add(1, ordering: .relaxed).oldValue % all.count] }
}
