import JSON
import Marketplace
import NIOCore
import Store
import WebSocketTransport
import Wire

/// Makes messages of what happened.
enum FeedEncoder {
  static func status(of event: JobEvent, epoch: String) -> JobStatus {
    JobStatus(
      sequence: event.sequence, epoch: epoch, job: event.job.rawValue, status: event.state, attempt: event.attempt,
      tryNumber: event.tryNumber, miner: event.miner?.rawValue, progress: event.progress, at: event.at,
      summary: summary(of: event))
  }

  /// Bytes that every reader of the event shares.
  static func frame(of event: JobEvent, epoch: String) -> EncodedFrame {
    frame(of: .status(status(of: event, epoch: epoch)))
  }

  static func frame(of message: FeedMessage) -> EncodedFrame { .text(buffer(of: message)) }

  static func buffer(of message: FeedMessage) -> ByteBuffer { ByteBuffer(bytes: message.json.encoded) }

  private static func summary(of event: JobEvent) -> JSONObject {
    var object = JSONObject()
    if event.state.isTerminal || event.error != nil {
      object.append("exit_code", JSONValue(event.exitCode))
      object.append("error", JSONValue(event.error?.text))
      object.append("error_detail", event.error?.json ?? .null)
    }
    if let outcome = event.cancelOutcome {
      object.append("cancel", ["outcome": .string(outcome.rawValue)])
    }
    return object
  }
}

extension EncodedFrame {
  /// Joins messages, unless there is only one.
  init(run frames: [EncodedFrame]) {
    if let frame = frames.first, frames.count == 1 { self = frame } else { self.init(joining: frames) }
  }
}
