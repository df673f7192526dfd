import Coordinator

/// The version of this executable, client, coordinator and miner alike.
enum Version {
  static let text = CoordinatorServer.version
}
