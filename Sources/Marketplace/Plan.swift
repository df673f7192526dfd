/// What an account has bought: how long results stay, and how much it may use.
public enum Plan: String, CaseIterable, Hashable, Sendable {
  case free
  case pro
  case enterprise

  /// How long a result stays, counted from `completed_at`. Gone when now ≥ completed_at + this.
  public var retention: Seconds {
    switch self {
    case .free: .days(7)
    case .pro: .days(30)
    case .enterprise: .days(90)
    }
  }

  /// Share of the market in fair queueing, relative to `free`.
  public var weight: Int64 {
    switch self {
    case .free: 1
    case .pro: 4
    case .enterprise: 16
    }
  }

  /// Jobs of an account that miners may hold at once; more of them wait, with `QUOTA` as their reason.
  public var runningJobLimit: Int {
    switch self {
    case .free: 1_000
    case .pro: 10_000
    case .enterprise: 100_000
    }
  }

  /// Jobs an account may have pending at once; one more is refused with 429.
  public var pendingJobLimit: Int {
    switch self {
    case .free: 100_000
    case .pro: 1_000_000
    case .enterprise: 10_000_000
    }
  }
}
