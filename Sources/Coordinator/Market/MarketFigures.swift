import Clocks
import JSON
import Marketplace
import Store

/// Publishes the public figures once a second while they change.
struct MarketFigures {
  let market: Market

  func run() async {
    var last: JSONObject?
    while !Task.isCancelled {
      if let figures = try? await figures(), figures != last {
        market.hub.publish(market: figures)
        last = figures
      }
      guard (try? await market.clock.sleep(for: Seconds(1))) != nil else { return }
    }
  }

  private func figures() async throws -> JSONObject {
    let counts = try await market.store.read { try $0.counts() }
    let members = market.dispatcher.members
    func count(_ states: JobState...) -> JSONValue { .integer(Int64(states.reduce(0) { $0 + (counts[$1] ?? 0) })) }
    return JSONObject([
      ("pending", count(.pending)), ("running", count(.assigned, .running, .canceling)),
      ("completed", count(.completed)), ("miners_online", .integer(Int64(members.count))),
      ("slots", .integer(Int64(members.reduce(0) { $0 + $1.record.offer.slots }))),
      ("slots_free", .integer(Int64(members.reduce(0) { $0 + $1.freeSlots }))),
    ])
  }
}
