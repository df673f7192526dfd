public import Marketplace

/// Where a pending job stands.
public struct QueuePosition: Hashable, Sendable {
  /// How many claimable jobs of the same requirements stand before it.
  public var before: Int
  /// There may be more: counting stops at ``countLimit``.
  public var isMinimum: Bool

  public init(before: Int, isMinimum: Bool = false) {
    self.before = before
    self.isMinimum = isMinimum
  }

  /// Jobs that are counted at most, from the job to the nearer end of the queue: a position costs the same in a queue
  /// of a thousand and of a million.
  public static let countLimit = 1_000
}

/// The pending jobs of one account and priority: what its owner may put in another order.
public struct QueueLane: Hashable, Sendable {
  public var account: AccountID
  public var priority: Priority

  public init(account: AccountID, priority: Priority) {
    self.account = account
    self.priority = priority
  }
}

/// One job's place. Total: no two are equal.
public struct QueuePlace: Hashable, Comparable, Sendable {
  public var job: JobID
  public var rank: Int64
  /// Decides between equal ranks: the order of submission.
  public var tie: Int64

  public init(job: JobID, rank: Int64, tie: Int64) {
    self.job = job
    self.rank = rank
    self.tie = tie
  }

  public static func < (left: Self, right: Self) -> Bool { (left.rank, left.tie) < (right.rank, right.tie) }
}

public struct QueuePage: Hashable, Sendable {
  public var jobs: [Job]
  /// Nil on the last page.
  public var nextCursor: String?

  public init(jobs: [Job], nextCursor: String?) {
    self.jobs = jobs
    self.nextCursor = nextCursor
  }
}

/// How long jobs with these requirements took lately.
public struct RunTime: Hashable, Sendable {
  public var requirements: Requirements
  public var mean: Seconds

  public init(requirements: Requirements, mean: Seconds) {
    self.requirements = requirements
    self.mean = mean
  }
}
