/// The version of this executable, client, coordinator and miner alike.
enum Version {
  static let text = "0.1.0"
}
