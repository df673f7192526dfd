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

  /// Bytes of results that an account may keep; with as many, new jobs are refused with 507.
  public var storageLimit: Int64 {
    switch self {
    case .free: 10 << 30
    case .pro: 100 << 30
    case .enterprise: 1 << 40
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

  /// Jobs an account may have at once that have not ended: waiting, running, being canceled. One more is refused with
  /// 429.
  public var activeJobLimit: Int {
    switch self {
    case .free: 100_000
    case .pro: 1_000_000
    case .enterprise: 10_000_000
    }
  }

  /// Why an account that has so many active jobs, and keeps so many bytes of results, may not submit one more; nil when
  /// it may.
  public func fault(activeJobs: Int, storedBytes: Int64) -> QuotaFault? {
    if activeJobs >= activeJobLimit { return .activeJobs(limit: activeJobLimit) }
    if storedBytes >= storageLimit { return .storage(used: storedBytes, limit: storageLimit) }
    return nil
  }
}

/// What an account has used up.
public enum QuotaFault: Error, Hashable, Sendable {
  case activeJobs(limit: Int)
  case storage(used: Int64, limit: Int64)
}
