public import Marketplace

/// What a feed is about.
public enum FeedScope: Hashable, Sendable {
  /// `/v1/jobs/ws`: every job of the account.
  case account
  /// `/v1/jobs/{id}/ws`: one job; closes with 1000 after its end.
  case job(JobID)
}

/// From where a client wants to go on: `?after=SEQ&epoch=E`, or a `resume` message.
public struct FeedResume: Hashable, Sendable {
  public var epoch: String
  /// The last sequence that the client has.
  public var after: Int64

  public init(epoch: String, after: Int64) {
    self.epoch = epoch
    self.after = after
  }
}

/// A run of messages that readers share.
enum TopicKey: Hashable, Sendable {
  case account(AccountID)
  case job(JobID)
  case market
  /// Not a run: how much log a job has.
  case log(JobID)
}
