import Hummingbird
import Instruments

/// Everything that can be asked for over HTTP.
struct MarketRoutes {
  let router: Router<AppContext>
  let table: RouteTable
  let requests: RequestMetrics

  init(market: Market, readiness: Readiness, gate: FeedGate, pages: StaticFiles) {
    router = Router(context: AppContext.self, options: .autoGenerateHeadEndpoints)
    JobRoutes(market: market).add(to: router)
    AttemptRoutes(market: market).add(to: router)
    QueueRoutes(market: market).add(to: router)
    BulkCancelRoutes(market: market).add(to: router)
    ListRoutes(market: market).add(to: router)
    ResultRoutes(market: market).add(to: router)
    PurgeRoutes(market: market).add(to: router)
    ShareRoutes(market: market).add(to: router)
    SharedRoutes(market: market).add(to: router)
    HistoryRoutes(market: market).add(to: router)
    LogRoutes(market: market).add(to: router)
    UploadRoutes(market: market).add(to: router)
    SystemRoutes(market: market, readiness: readiness).add(to: router)
    ReceiptRoutes(market: market).add(to: router)
    AdminRoutes(market: market).add(to: router)
    AdminMinerRoutes(market: market).add(to: router)
    RestMinerRoutes(market: market).add(to: router)
    FeedRoutes(gate: gate).add(to: router)
    pages.add(to: router)
    // It counts itself too, and is the last to be added.
    let own = RouteTable.Route(path: "/metrics", methods: ["GET", "HEAD"])
    let requests = RequestMetrics(RouteTable(router).routes + [own])
    router.get("/metrics") { _, _ in await MetricsRoutes(market: market, requests: requests).respond() }
    self.requests = requests
    table = RouteTable(router)
  }
}
