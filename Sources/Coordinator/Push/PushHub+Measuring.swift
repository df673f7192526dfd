package import Marketplace
package import NIOCore
package import WebSocketTransport

/// For the programs of `Benchmarks/`, which stand on the hub itself and bring messages of a given size.
extension PushHub {
  /// Publishes messages as durable events of a job, in order, with the sequences from `first` on. All else is as in
  /// ``publish(events:)``.
  package func publish(_ frames: [EncodedFrame], first: Int64, account: AccountID, job: JobID) {
    withState { state in
      for (index, frame) in frames.enumerated() {
        state.append(sequence: first + Int64(index), account: account, job: job, isEnd: false) { frame }
      }
    }
  }

  /// The loops that have, or had, readers.
  package var eventLoops: [any EventLoop] { withState { $0.loops.map(\.eventLoop) } }

  /// Readers of a loop that are not in step: they begin, catch up, or lag. Call on that loop.
  package func readersApart(on eventLoop: any EventLoop) -> Int { part(for: eventLoop).apartCount }
}
