import Coordinator
import NIOCore
import WebSocketTransport

/// Publishes bursts from one of the hub's loops.
final class Driver: Sendable {
  private let stage: Stage
  private let burst: Int
  private let size: Int
  private let end: NIODeadline

  init(stage: Stage, burst: Int, size: Int, end: NIODeadline) {
    self.stage = stage
    self.burst = burst
    self.size = size
    self.end = end
  }

  func startRate(on loop: any EventLoop, every interval: TimeAmount) {
    publish(on: loop, at: .now(), every: interval)
  }

  /// Deadlines are added up, so that the rate is kept whatever one burst takes.
  private func publish(on loop: any EventLoop, at deadline: NIODeadline, every interval: TimeAmount) {
    loop.scheduleTask(deadline: deadline) {
      guard loop.now < self.end else { return }
      self.stage.publish(burst: self.burst, size: self.size)
      self.publish(on: loop, at: deadline + interval, every: interval)
    }
  }

  func publishWhenTaken(on loop: any EventLoop) {
    guard loop.now < end else { return }
    guard stage.readersApart == 0 else {
      loop.scheduleTask(in: .milliseconds(1)) { self.publishWhenTaken(on: loop) }
      return
    }
    stage.publish(burst: burst, size: size)
    // Behind the flush that publishing has asked for.
    loop.execute { self.publishWhenTaken(on: loop) }
  }
}
