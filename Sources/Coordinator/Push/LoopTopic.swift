import NIOCore
import WebSocketTransport

/// The readers that one event loop has of a topic. Nearly all of them have exactly the same: they are *in step*, share
/// one cursor (``mark``) and get what is published through a group, without being looked at one by one. The others are
/// *apart*, each with a cursor of its own: they begin, catch up, lag, follow logs, or end.
final class LoopTopic {
  /// A reader's places; the topic keeps them.
  struct Seat {
    fileprivate var member: Int32 = -1
    /// -1: in step.
    fileprivate var apart: Int32 = -1
  }

  let group = BroadcastGroup()
  /// What readers in step have: every event up to `published`, and progress up to `version`.
  private(set) var mark: TopicMark
  private(set) var members: ContiguousArray<FeedSession> = []
  private(set) var apart: ContiguousArray<FeedSession> = []

  init(_ mark: TopicMark) { self.mark = mark }

  var isEmpty: Bool { members.isEmpty }

  func join(_ session: FeedSession) {
    session.seat.member = Int32(members.count)
    members.append(session)
    addApart(session)
  }

  func leave(_ session: FeedSession) {
    if session.isInStep { release(session) } else { removeApart(session) }
    guard let last = members.popLast() else { return }
    if last !== session {
      members[Int(session.seat.member)] = last
      last.seat.member = session.seat.member
    }
    session.seat = Seat()
  }

  /// Those in step have been sent the batch.
  func advance(to batch: SharedBatch) {
    mark.published = batch.events.sequence
    mark.endPosition = batch.events.position
    mark.version = batch.version
  }

  // MARK: In step and apart

  func fallIn(_ session: FeedSession) {
    guard !session.isInStep, let connection = session.connection, group.add(connection) else { return }
    removeApart(session)
    session.isInStep = true
  }

  func fallOut(_ session: FeedSession) {
    guard session.isInStep else { return }
    release(session)
    session.machine.cursor.take(mark)
    addApart(session)
  }

  /// All get cursors of their own: those in step have missed something.
  func scatter() {
    for session in members { fallOut(session) }
  }

  private func release(_ session: FeedSession) {
    session.isInStep = false
    if let connection = session.connection { group.remove(connection) }
  }

  private func addApart(_ session: FeedSession) {
    session.seat.apart = Int32(apart.count)
    apart.append(session)
  }

  private func removeApart(_ session: FeedSession) {
    guard let last = apart.popLast() else { return }
    if last !== session {
      apart[Int(session.seat.apart)] = last
      last.seat.apart = session.seat.apart
    }
    session.seat.apart = -1
  }
}
