import Hummingbird
import JSON
import Marketplace
import Store
import Wire

/// `/v1/jobs/{id}/receipt`, and `/receipts` as AITBC's clients ask.
struct ReceiptRoutes {
  let market: Market

  func add(to router: Router<AppContext>) {
    router.get("/v1/jobs/:id/receipt") { request, context -> Response in
      guard let receipt = try await receipt(request, context) else {
        throw Problem(
          404, "receipt_not_available",
          "receipt not available: only jobs that were completed, or canceled after they ran, have one")
      }
      return .json(try market.signedReceipt(receipt))
    }
    router.get("/v1/jobs/:id/receipts") { request, context -> Response in
      let receipt = try await receipt(request, context)
      return .json(["items": .array(try receipt.map { [try market.signedReceipt($0)] } ?? [])])
    }
  }

  private func receipt(_ request: Request, _ context: AppContext) async throws -> Receipt? {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    return try await market.store.read { store in try store.receipt(of: try store.ownJob(id, of: identity.account)) }
  }
}
