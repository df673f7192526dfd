import JSON
import Marketplace
import Store

/// Why a pending job waits: a code for programs, a sentence for people, and how near the fleet comes.
struct PendingReason: Hashable, Sendable {
  enum Code: String, Sendable {
    case noMiners = "NO_MINERS"
    case noMinerFits = "NO_MINER_FITS"
    case allBusy = "ALL_BUSY"
    case priceTooLow = "PRICE_TOO_LOW"
    case quota = "QUOTA"
    case notBefore = "NOT_BEFORE"
  }

  var code: Code
  var message: String
  var fittingMiners: Int
  /// For each requirement, how many connected miners lack it.
  var lacking: [Requirement: Int]
  /// The miner that lacks least.
  var nearest: (miner: MinerID, missing: [Requirement])?

  static func == (left: Self, right: Self) -> Bool { left.json == right.json }
  func hash(into hasher: inout Hasher) { hasher.combine(json) }

  /// What the connected miners say to some requirements; the same for all jobs that have these.
  struct Survey {
    let members: Int
    let fitting: [Fleet.Member]
    /// The price of the cheapest that fits.
    let lowestPrice: Money?
    /// Of those that fit and take something.
    let slots: Int
    let freeSlots: Int
    /// Of those that fit.
    let draining: Int
    let lacking: [Requirement: Int]
    let nearest: (miner: MinerID, missing: [Requirement])?
    /// A miner lacks nothing but a price within the limit.
    let isPriceAll: Bool

    init(_ requirements: Requirements, among members: [Fleet.Member]) {
      let answers = members.map { ($0, requirements.missing(in: $0.record.offer)) }
      let fitting = answers.filter { $0.1.isEmpty }.map(\.0)
      var lacking: [Requirement: Int] = [:]
      for requirement in answers.lazy.flatMap(\.1) { lacking[requirement, default: 0] += 1 }
      self.members = members.count
      self.fitting = fitting
      self.lacking = lacking
      lowestPrice = fitting.map(\.record.offer.effectivePrice).min()
      draining = fitting.count { $0.isDraining }
      slots = fitting.reduce(0) { $0 + ($1.isDraining ? 0 : $1.record.offer.slots) }
      freeSlots = fitting.reduce(0) { $0 + $1.freeSlots }
      nearest =
        fitting.isEmpty
        ? answers.min { ($0.1.count, $0.0.record.id) < ($1.1.count, $1.0.record.id) }.map { ($0.0.record.id, $0.1) }
        : nil
      isPriceAll = answers.contains { $0.1 == [.price] }
    }
  }

  /// Nil when a fitting miner has a free slot: the job is about to be assigned.
  init?(for job: Job, among miners: [Fleet.Member], isHeldBack: Bool = false, at now: Timestamp) {
    self.init(
      for: job, Survey(Requirements(of: job.specification), among: miners), isHeldBack: isHeldBack, at: now)
  }

  /// The same, where the miners were asked before.
  init?(for job: Job, _ survey: Survey, isHeldBack: Bool, at now: Timestamp) {
    let fitting = survey.fitting
    fittingMiners = fitting.count
    lacking = survey.lacking
    nearest = survey.nearest
    if job.availableAt > now {
      code = .notBefore
      message =
        job.lastTry > 0
        ? "another try may start from \(job.availableAt) on" : "is not to start before \(job.availableAt)"
    } else if survey.members == 0 {
      code = .noMiners
      message = "no miner is connected"
    } else if fitting.isEmpty {
      (code, message) = Self.whyNoneFits(survey)
    } else if survey.freeSlots == 0 {
      code = .allBusy
      message = Self.busy(survey)
    } else if isHeldBack {
      code = .quota
      message = "the account runs as many jobs at once as it may"
    } else {
      return nil
    }
  }

  private static func busy(_ survey: Survey) -> String {
    let (count, draining) = (survey.fitting.count, survey.draining)
    let who = count == 1 ? "the one miner that fits is" : "all \(count) miners that fit are"
    if draining == count { return who + " draining" }
    return who + " busy" + (draining > 0 ? " or draining" : "")
  }

  private static func whyNoneFits(_ survey: Survey) -> (Code, String) {
    if survey.isPriceAll {
      return (.priceTooLow, "miners fit, but all of them ask more than max_price")
    }
    let parts = survey.lacking.sorted { ($1.value, $0.key.rawValue) < ($0.value, $1.key.rawValue) }
      .map { "\($0.value) \($0.value == 1 ? "lacks" : "lack") \($0.key.rawValue)" }
    let count = survey.members
    return (
      .noMinerFits, "none of \(count) connected miner\(count == 1 ? "" : "s") fits: " + parts.joined(separator: ", ")
    )
  }

  var json: JSONValue {
    var object = JSONObject([
      ("code", .string(code.rawValue)), ("message", .string(message)),
      ("fitting_miners", .integer(Int64(fittingMiners))),
      (
        "lacking",
        .object(
          JSONObject(
            lacking.sorted { $0.key.rawValue < $1.key.rawValue }.map { ($0.key.rawValue, .integer(Int64($0.value))) }))
      ),
    ])
    if let nearest {
      object.append(
        "nearest",
        [
          "miner_id": .string(nearest.miner.rawValue),
          "missing": .array(nearest.missing.map { .string($0.rawValue) }),
        ])
    } else {
      object.append("nearest", .null)
    }
    return .object(object)
  }
}
