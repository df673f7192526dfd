import Marketplace
import Wire

/// What the shell of a feed has to do for its machine. Results come back with the same `generation`; those of another
/// one are out of date and are dropped.
enum FeedAction: Hashable {
  case send(FeedMessage)
  /// Last of all.
  case close(FeedCloseCode, String)
  /// Look the key up → ``FeedMachine/authenticated(_:)``.
  case authenticate(key: String)
  /// Become a reader of the topic, instead of another one.
  case join(TopicKey)
  /// → ``FeedMachine/snapshotLoaded(_:end:mark:generation:now:)``.
  case loadSnapshot(generation: Int)
  /// → ``FeedMachine/resumeChecked(_:end:mark:generation:now:)``.
  case checkResume(generation: Int)
  /// Hear of the job's logs from now on.
  case follow(JobID)
  case unfollow(JobID)
  /// Also check the owner → ``FeedMachine/logStateLoaded(_:of:generation:now:)``.
  case loadLogState(JobID, generation: Int)
  /// Something may be ready to be sent.
  case pump
}

/// What became of a key.
enum FeedIdentity: Hashable, Sendable {
  case account(AccountID)
  /// Unknown, revoked, or of the wrong role.
  case unknownKey
  /// The feed's job is another account's, or there is none.
  case notOwner
  /// The account's connections are used up.
  case full
}
