import Clocks
import Cryptography
import Logging
import Marketplace
import NIOPosix
import Store

/// What every part of the coordinator stands on. Holds no decisions of its own.
final class Market: Sendable {
  let configuration: CoordinatorConfiguration
  let store: any MarketStore
  let files: FileStore
  let clock: any MarketClock
  let log: Logger
  let dispatcher: Dispatcher
  let authenticator: Authenticator
  let progress = ProgressBoard()
  let history = DurationHistory()
  let logs: LogBook
  let results: ResultFiles
  let signingKeys: SigningKeys
  let packages: Packager
  let hub: PushHub
  let polling = PollingMiners()
  let blobGate = BlobGate()
  let metrics: MarketMetrics
  let artifactNames = ArtifactNames()
  /// For file work that blocks.
  let blocking: NIOThreadPool

  init(
    configuration: CoordinatorConfiguration, store: any MarketStore, files: FileStore, clock: any MarketClock,
    signingKeys: SigningKeys, hub: PushHub, blocking: NIOThreadPool, log: Logger,
    metrics: MarketMetrics = MarketMetrics()
  ) {
    self.metrics = metrics
    self.configuration = configuration
    self.store = store
    self.files = files
    self.clock = clock
    self.log = log
    self.hub = hub
    self.blocking = blocking
    authenticator = Authenticator()
    dispatcher = Dispatcher(
      store: store, clock: clock, leaseTerm: configuration.leaseTerm, runningLimit: configuration.runningLimit,
      log: log, reserve: files.reserve, metrics: metrics.leases)
    logs = LogBook(files: files, blocking: blocking)
    results = ResultFiles(store: store, files: files, blocking: blocking)
    self.signingKeys = signingKeys
    packages = Packager(store: store, files: files, clock: clock, signingKeys: signingKeys, log: log)
  }

  /// The coordinator's own key: receipts and manifests are signed with it.
  var signingKey: Ed25519PrivateKey { signingKeys.active }

  /// Runs blocking file work on its own threads.
  func blockingly<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await blocking.runIfActive(body)
  }

  /// A new identifier.
  func newID<Kind: IdentifierKind>(_ kind: Kind.Type) -> Identifier<Kind> {
    var random = SecureRandom()
    return Identifier(at: clock.now, using: &random)
  }
}
