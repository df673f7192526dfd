import Marketplace
import NIOCore
import NIOHTTP1
import Store
import Synchronization
import WebSocket
import WebSocketTransport
import Wire

/// Decides who may open which WebSocket, before the upgrade.
final class FeedGate: Sendable {
  /// What an address is for.
  enum Target: Sendable {
    case account(Identity?)
    case job(JobID, Identity)
    case miner(Identity)
  }

  enum Decision: Sendable {
    case admit(Target, FeedResume?)
    case refuse(Problem)
  }

  private let market: Market
  private let hosts: HostPolicy
  private let handshake: WebSocketServerUpgrader<Void>
  private let sockets = Mutex(Sockets())

  /// A closure that is itself a generic value is wrapped once more each time it is read; see the store's `Writer`.
  private struct Sockets {
    var count: @Sendable () -> Int = { 0 }
  }

  init(market: Market, origins: OriginPolicy) {
    self.market = market
    hosts = HostPolicy(market.configuration)
    handshake = WebSocketServerUpgrader(
      origins: origins, admit: { _, channel in channel.eventLoop.makeSucceededFuture(.refuse) }, upgraded: { _, _ in })
  }

  /// What is wrong with the request as an opening handshake, or with where it comes from.
  func fault(of head: HTTPRequestHead) -> Problem? {
    guard let rejection = handshake.rejection(of: head) else { return nil }
    return Problem(rejection.status, rejection.code.lowercased(), rejection.reason)
  }

  /// How many WebSockets are open, once the server knows.
  func countSockets(_ count: @escaping @Sendable () -> Int) { sockets.withLock { $0.count = count } }

  func decide(_ head: HTTPRequestHead) async -> Decision {
    do {
      guard sockets.withLock({ $0.count })() < market.configuration.connectionLimit else {
        throw Problem(503, "too_many_connections", "too many WebSockets are open", retryAfter: 5)
      }
      guard hosts.allows(head.headers.first(name: "Host")) else {
        throw Problem(403, "foreign_host", "this Host is not one of ours; see --allowed-host")
      }
      let uri = FeedURI(head.uri)
      let key = Self.key(head)
      switch uri.path {
      case ["v1", "jobs", "ws"]:
        return .admit(
          .account(try key.map { try market.authenticator.require(.client, key: $0) }),
          try uri.resume(currentEpoch: market.store.epoch))
      case ["v1", "miners", "ws"]:
        return .admit(.miner(try market.authenticator.require(.miner, key: key)), nil)
      case let path where path.count == 4 && path[0] == "v1" && path[1] == "jobs" && path[3] == "ws":
        let identity = try market.authenticator.require(.client, key: key)
        guard let id = JobID(path[2]) else { throw Problem.notFound("job") }
        _ = try await market.store.read { try $0.ownJob(id, of: identity.account) }
        return .admit(.job(id, identity), try uri.resume(currentEpoch: market.store.epoch))
      default: return .refuse(.notFound("WebSocket address"))
      }
    } catch let problem as Problem {
      return .refuse(problem)
    } catch let error as MarketError {
      return .refuse(error.problem)
    } catch {
      return .refuse(Problem(503, "store_failed", "the coordinator's store failed", retryAfter: 5))
    }
  }

  /// Counts a feed against the limits of its account and address. Throws 429. Miners are not counted.
  func ticket(_ target: Target, address: String?) throws(Problem) -> FeedTicket {
    let account: AccountID? =
      switch target {
      case .account(let identity): identity?.account
      case .job(_, let identity), .miner(let identity): identity.account
      }
    do {
      return try market.hub.admit(address: address, account: account)
    } catch {
      switch error {
      case .tooManyOfAccount(let limit):
        throw Problem(
          429, "too_many_feeds", "the account has \(limit) open feeds, the most there may be", retryAfter: 5)
      case .tooManyFromAddress(let limit):
        throw Problem(
          429, "too_many_feeds", "your address has \(limit) open feeds, the most there may be", retryAfter: 5)
      }
    }
  }

  /// Throws 429 when a feed would be over a limit now.
  func checkLimits(_ target: Target, address: String?) throws(Problem) {
    if case .miner = target { return }
    _ = try ticket(target, address: address)
  }

  private static func key(_ head: HTTPRequestHead) -> String? {
    if let key = head.headers.first(name: "X-Api-Key") { return key }
    guard let value = head.headers.first(name: "Authorization") else { return nil }
    let parts = value.split(separator: " ", maxSplits: 1)
    return parts.count == 2 && parts[0].lowercased() == "bearer" ? String(parts[1]) : nil
  }
}

/// A request target taken apart.
struct FeedURI {
  let path: [String]
  private let query: [(name: String, value: String)]

  init(_ target: String) {
    let parts = target.split(separator: "?", maxSplits: 1).map(String.init)
    path = (parts.first ?? "").split(separator: "/").map(String.init)
    query = (parts.count > 1 ? parts[1] : "").split(separator: "&").map { pair in
      let ends = pair.split(separator: "=", maxSplits: 1).map(String.init)
      return (ends.first ?? "", ends.count > 1 ? ends[1] : "")
    }
  }

  /// `?after=SEQ&epoch=E`; nil without `after`. Without `epoch` the present one is meant.
  func resume(currentEpoch: String) throws -> FeedResume? {
    for (name, _) in query where name != "after" && name != "epoch" {
      throw Problem.invalid([FieldError(name, "unknown query parameter; keys never stand in a URL")])
    }
    guard let text = query.first(where: { $0.name == "after" })?.value else { return nil }
    guard let after = Int64(text), after >= 0 else {
      throw Problem.invalid([FieldError("after", "must be a sequence number")])
    }
    return FeedResume(epoch: query.first { $0.name == "epoch" }?.value ?? currentEpoch, after: after)
  }
}
