public import Marketplace

/// Moves a waiting job among those of its account and priority.
///
/// Others lose nothing by it: the jobs between the old and the new place each take their neighbour's rank, so the
/// account's ranks stay the same set. Where more than ``rotationLimit`` stand between, the job takes a rank of its own
/// beside its new neighbour instead, and one that comes forward so has borrowed from its account's future: at most
/// ``borrowLimit`` such places are out at a time.
public struct QueueMove: Sendable {
  public enum Target: Hashable, Sendable {
    case before(JobID)
    case after(JobID)
    case top
    case bottom
  }

  public var job: JobID
  public var account: AccountID
  public var target: Target

  public init(job: JobID, account: AccountID, target: Target) {
    self.job = job
    self.account = account
    self.target = target
  }

  /// Jobs that change places in one move at most.
  public static let rotationLimit = 100
  /// Places an account may have taken from its future at a time: others are overtaken by no more.
  public static let borrowLimit = 100
  /// Neighbours that are spread anew at most when no rank is left between two.
  static let respacingLimit = 1_000

  /// The job as it stands now. Throws ``MarketError``: not found, notQueued, otherPriority or borrowedTooMuch.
  public func run(in market: any MarketTransaction) throws -> Job {
    let (moved, place) = try waiting(job, in: market)
    let lane = QueueLane(account: account, priority: moved.priority)
    switch try destination(of: place, in: lane, market) {
    case .stay: return moved
    case .up(let next): try moveUp(place, before: next, in: lane, market)
    case .down(let previous): try moveDown(place, after: previous, in: lane, market)
    }
    guard let after = try market.job(job) else { throw MarketError.jobNotFound }
    return after
  }

  private enum Destination {
    case stay
    /// Right before this one, which stands before the job.
    case up(QueuePlace)
    /// Right behind this one, which stands behind the job.
    case down(QueuePlace)
  }

  private func waiting(_ id: JobID, in market: any MarketReader) throws -> (Job, QueuePlace) {
    guard let job = try market.job(id), job.account == account else { throw MarketError.jobNotFound }
    guard let place = try market.queuePlace(of: id) else { throw MarketError.notQueued(id, job.state) }
    return (job, place)
  }

  private func destination(
    of place: QueuePlace, in lane: QueueLane, _ market: any MarketReader
  ) throws -> Destination {
    switch target {
    case .top:
      let first = try market.lane(lane, after: nil, limit: 1).first ?? place
      return first == place ? .stay : .up(first)
    case .bottom:
      let last = try market.lane(lane, before: nil, limit: 1).first ?? place
      return last == place ? .stay : .down(last)
    case .before(let id):
      let other = try neighbour(id, in: lane, market)
      if other <= place { return other == place ? .stay : .up(other) }
      let previous = try market.lane(lane, before: other, limit: 1).first ?? place
      return previous <= place ? .stay : .down(previous)
    case .after(let id):
      let other = try neighbour(id, in: lane, market)
      if other >= place { return other == place ? .stay : .down(other) }
      let next = try market.lane(lane, after: other, limit: 1).first ?? place
      return next >= place ? .stay : .up(next)
    }
  }

  private func neighbour(_ id: JobID, in lane: QueueLane, _ market: any MarketReader) throws -> QueuePlace {
    let (other, place) = try waiting(id, in: market)
    guard other.priority == lane.priority else { throw MarketError.otherPriority(id, other.priority) }
    return place
  }
}

extension QueueMove {
  private func moveUp(
    _ place: QueuePlace, before next: QueuePlace, in lane: QueueLane, _ market: any MarketTransaction
  ) throws {
    let between = try market.lane(lane, after: next, limit: Self.rotationLimit)
    if let own = between.firstIndex(of: place) {
      let jobs = [place, next] + between[..<own]
      return try rotate(jobs, over: [next] + between[...own], in: market)
    }
    let borrowed = try market.borrowedPlaces(
      account: account, after: try market.virtualTime(), limit: Self.borrowLimit)
    guard borrowed < Self.borrowLimit else { throw MarketError.borrowedTooMuch(limit: Self.borrowLimit) }
    let previous = try market.lane(lane, before: next, limit: 1).first
    try insert(place, between: previous, and: next, in: lane, market)
    try market.noteBorrowed(FairQueue.start(of: place.rank, priority: lane.priority), by: place.job)
  }

  private func moveDown(
    _ place: QueuePlace, after previous: QueuePlace, in lane: QueueLane, _ market: any MarketTransaction
  ) throws {
    let between = try market.lane(lane, before: previous, limit: Self.rotationLimit)
    if let own = between.firstIndex(of: place) {
      let jobs = between[..<own].reversed() + [previous, place]
      return try rotate(jobs, over: between[...own].reversed() + [previous], in: market)
    }
    let next = try market.lane(lane, after: previous, limit: 1).first
    try insert(place, between: previous, and: next, in: lane, market)
  }

  /// Gives the ranks of `places`, in rising order, to `jobs` in theirs. Equal ranks are pulled apart: their ties would
  /// bring the old order back.
  private func rotate(_ jobs: [QueuePlace], over places: [QueuePlace], in market: any MarketTransaction) throws {
    var last = Int64.min
    for (job, place) in zip(jobs, places) {
      last = max(place.rank, last == .min ? .min : last + 1)
      if job.rank != last { try market.setRank(last, of: job.job) }
    }
  }

  private func insert(
    _ place: QueuePlace, between previous: QueuePlace?, and next: QueuePlace?, in lane: QueueLane,
    _ market: any MarketTransaction
  ) throws {
    switch (previous, next) {
    case (nil, nil): break
    case (nil, let next?): try market.setRank(next.rank - 1, of: place.job)
    case (let previous?, nil): try market.setRank(previous.rank + 1, of: place.job)
    case (let previous?, let next?):
      if next.rank - previous.rank >= 2 {
        try market.setRank(previous.rank + (next.rank - previous.rank) / 2, of: place.job)
      } else {
        try respace(place, before: next, in: lane, market)
      }
    }
  }

  /// No rank is left before `next`: its predecessors move a little forward, within the gap before them.
  private func respace(
    _ place: QueuePlace, before next: QueuePlace, in lane: QueueLane, _ market: any MarketTransaction
  ) throws {
    var crowd = try market.lane(lane, before: next, limit: Self.respacingLimit).filter { $0 != place }
    let roomy = crowd.indices.first { next.rank - crowd[$0].rank >= 2 * Int64($0 + 2) }
    let low = roomy.map { crowd[$0].rank } ?? (crowd.last.map { $0.rank - 1 } ?? next.rank - 2)
    if let roomy { crowd.removeSubrange(roomy...) }
    let jobs = crowd.reversed().map(\.job) + [place.job]
    // Without a gap in sight the whole crowd comes forward by as much as it needs.
    let width = max(Int64(jobs.count) + 1, next.rank - low)
    for (index, job) in jobs.enumerated() {
      try market.setRank(next.rank - width + width * Int64(index + 1) / Int64(jobs.count + 1), of: job)
    }
  }
}
