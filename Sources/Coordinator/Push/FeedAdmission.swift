import Marketplace
import Synchronization

/// Why a feed can't be opened now. Answer 429.
public enum FeedRefusal: Error, Hashable, Sendable {
  case tooManyOfAccount(limit: Int)
  case tooManyFromAddress(limit: Int)
}

/// Counts open feeds by account and by remote address.
final class FeedAdmission: Sendable {
  private struct Counts {
    var open = 0
    var accounts: [AccountID: Int] = [:]
    var addresses: [String: Int] = [:]
  }

  private let limits: FeedLimits
  private let counts = Mutex(Counts())

  init(limits: FeedLimits) { self.limits = limits }

  /// - address: the peer's, without the port; nil is not counted.
  func admit(address: String?, account: AccountID?) throws(FeedRefusal) -> FeedTicket {
    let result: Result<Void, FeedRefusal> = counts.withLock { counts in
      if let address, counts.addresses[address, default: 0] >= limits.connectionsPerAddress {
        return .failure(.tooManyFromAddress(limit: limits.connectionsPerAddress))
      }
      if let account, counts.accounts[account, default: 0] >= limits.connectionsPerAccount {
        return .failure(.tooManyOfAccount(limit: limits.connectionsPerAccount))
      }
      counts.open += 1
      if let address { counts.addresses[address, default: 0] += 1 }
      if let account { counts.accounts[account, default: 0] += 1 }
      return .success(())
    }
    try result.get()
    return FeedTicket(admission: self, address: address, account: account)
  }

  /// Feeds that are open now.
  var openCount: Int { counts.withLock { $0.open } }

  fileprivate func take(_ account: AccountID) -> Bool {
    counts.withLock { counts in
      guard counts.accounts[account, default: 0] < limits.connectionsPerAccount else { return false }
      counts.accounts[account, default: 0] += 1
      return true
    }
  }

  fileprivate func release(address: String?, account: AccountID?) {
    counts.withLock { counts in
      counts.open -= 1
      if let address { counts.addresses.decrement(address) }
      if let account { counts.accounts.decrement(account) }
    }
  }
}

/// The right to one open feed. Given back when the last reference goes.
public final class FeedTicket: Sendable {
  private let admission: FeedAdmission
  private let address: String?
  private let account: Mutex<AccountID?>

  init(admission: FeedAdmission, address: String?, account: AccountID?) {
    self.admission = admission
    self.address = address
    self.account = Mutex(account)
  }

  deinit { admission.release(address: address, account: account.withLock { $0 }) }

  /// For a feed whose key came later. False: the account has too many.
  func claim(_ id: AccountID) -> Bool {
    account.withLock { account in
      guard account == nil else { return account == id }
      guard admission.take(id) else { return false }
      account = id
      return true
    }
  }
}

extension Dictionary where Value == Int {
  fileprivate mutating func decrement(_ key: Key) {
    guard let count = self[key] else { return }
    self[key] = count > 1 ? count - 1 : nil
  }
}
