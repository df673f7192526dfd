/// Start-time fair queueing over accounts (Goyal, Vin, Cheng 1996): a job's rank is the virtual time at which its
/// service would start if every account with waiting jobs got its share.
///
/// Virtual time moves with service, so a job's rank only ever comes nearer: nobody starves. An account that floods the
/// queue pushes only its own jobs back.
public enum FairQueue {
  /// What one job costs an account of weight 1, in virtual units.
  public static let step: Int64 = 1_000_000

  /// How many jobs of weight 1 a priority is worth: the head start over `normal`. This is the ageing bound: after that
  /// much service of others, a job stands level with newer ones of the higher priority.
  static func headStart(_ priority: Priority) -> Int64 {
    switch priority {
    case .low: -1_000 * step
    case .normal: 0
    case .high: 1_000 * step
    case .urgent: 10_000 * step
    }
  }

  /// Places one job. `virtualTime` is the market's, `finish` the account's last virtual finish. Returns the rank and
  /// the account's next finish.
  public static func place(
    priority: Priority, weight: Int64, virtualTime: Int64, finish: Int64
  ) -> (rank: Int64, finish: Int64) {
    let start = max(virtualTime, finish)
    return (start - headStart(priority), start + step / max(1, weight))
  }

  /// The market's virtual time after a job was claimed: its start, as start-time fair queueing has it.
  ///
  /// A job with a head start is claimed before jobs that start earlier. Following its start at once would put everybody
  /// who comes now behind the whole backlog of its account; so it moves time by one job's service, or as far as its
  /// rank, before which nobody of normal priority waits.
  public static func advance(_ virtualTime: Int64, claimed rank: Int64, priority: Priority) -> Int64 {
    max(virtualTime, min(rank + headStart(priority), max(rank, virtualTime + step)))
  }

  /// The virtual start that a rank stands for.
  public static func start(of rank: Int64, priority: Priority) -> Int64 { rank + headStart(priority) }

  /// The rank after a change of priority.
  public static func reprioritise(_ rank: Int64, from old: Priority, to new: Priority) -> Int64 {
    rank + headStart(old) - headStart(new)
  }
}
