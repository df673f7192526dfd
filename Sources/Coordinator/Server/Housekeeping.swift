import ServiceLifecycle

/// The work beside requests: claiming and maintenance. Ends behind the server, when no request can need it any more.
struct Housekeeping: Service {
  let market: Market

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await market.dispatcher.run() }
        group.addTask {
          await Maintenance(
            market: market,
            services: [
              LeaseExpiry(), QueueExpiry(), Availability(), ProgressWriter(), IdempotencyCleanup(), Packaging(),
              UploadSweep(), Overrun(), HistoryWriter(), DiskWatch(), PollingSweep(), LedgerWatch(), Retention(),
              OrphanSweep(), BlobCleanup(), LooseCopies(),
            ]
          ).run()
        }
        group.addTask { await MarketFigures(market: market).run() }
        group.addTask { try? await market.hub.run() }
        await group.waitForAll()
      }
    }
  }
}
