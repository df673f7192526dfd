import JSON
public import Logging
import MarketplaceClient
import NIOCore
import NIOPosix
import WebSocket
import WebSocketTransport
public import Wire

/// The miner channel over our own WebSocket: `/v1/miners/ws`.
public struct WebSocketMinerConnection: MinerConnection {
  private let stream: WebSocketStream
  private let logger: Logger

  /// Throws ``ChannelOpenError`` or `CancellationError`.
  public static func open(_ configuration: MinerConfiguration, logger: Logger) async throws -> WebSocketMinerConnection
  {
    let url = configuration.url
    // Most of what travels is short, or bytes of a job's own choice: compressing costs more than it saves.
    let connection = WebSocketConfiguration(compression: nil)
    do {
      let stream = try await WebSocketStream.connect(
        url: (url.isSecure ? "wss://" : "ws://") + url.authority + url.prefix + "/v1/miners/ws",
        headers: [("X-Api-Key", configuration.apiKey), ("User-Agent", "aitbc-miner/\(configuration.version)")],
        configuration: WebSocketClientConfiguration(connection: connection),
        eventLoopGroup: MultiThreadedEventLoopGroup.singleton, capacity: 1024)
      return WebSocketMinerConnection(stream: stream, logger: logger)
    } catch .refused(let status, _, let body) {
      let problem = (try? JSONParser.parse(body)).flatMap { Problem(status: status, json: $0) }
      throw ChannelOpenError.refused(status: status, detail: problem?.detail ?? "status \(status)")
    } catch .invalidResponse(let reason) {
      throw ChannelOpenError.unreachable("no coordinator there: \(reason)")
    } catch {
      try Task.checkCancellation()
      throw ChannelOpenError.unreachable(error.description)
    }
  }

  public func send(_ message: MinerMessage) {
    stream.connection?.send(text: ByteBuffer(bytes: message.json.encoded))
  }

  public func send(_ chunk: LogChunk) async throws {
    try await stream.send(binary: ByteBuffer(bytes: chunk.encoded))
  }

  public func next() async -> MinerCommand? {
    var iterator = stream.makeAsyncIterator()
    while let message = await iterator.next() {
      guard case .text(let text) = message else {
        logger.warning("the coordinator sent a binary message; it was skipped")
        continue
      }
      do {
        return try MinerCommand(json: try JSONParser.parse(text))
      } catch {
        // Never obeyed, never fatal: a newer coordinator may say more than we know.
        logger.warning("a message of the coordinator was not understood: \(error)")
      }
    }
    return nil
  }

  public var end: ChannelEnd? {
    stream.closeReason.map { ChannelEnd(code: Int($0.code.rawValue), reason: $0.reason) }
  }

  public func close() { stream.close(code: .goingAway, reason: "the miner leaves") }
}
