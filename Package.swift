// swift-tools-version: 6.2
import PackageDescription

/// One set of rules for every target: Swift 6 mode, explicit `any`, imports that are internal and visible per file.
/// In CI a warning is an error; on a newcomer's newer compiler it stays a warning.
let rules: [SwiftSetting] =
  [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
  ] + (Context.environment["CI"] == nil ? [] : [.treatAllWarnings(as: .error)])

let nio: [Target.Dependency] = [
  .product(name: "NIOCore", package: "swift-nio"),
  .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
  .product(name: "NIOPosix", package: "swift-nio"),
  .product(name: "NIOHTTP1", package: "swift-nio"),
]
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

func target(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: rules)
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: name + "Tests", dependencies: [.byName(name: name), "TestRandomness"] + dependencies, swiftSettings: rules)
}

let package = Package(
  name: "aitbc",
  products: [
    .executable(name: "aitbc", targets: ["aitbc"]),
    .library(name: "MarketplaceClient", targets: ["MarketplaceClient"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CLibdeflate", pkgConfig: "libdeflate", providers: [.apt(["libdeflate-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CEpoll"),
    .target(name: "CSupervisor"),

    target("JSON"),
    target("Marketplace", ["JSON"]),
    target("Clocks", ["Marketplace"]),
    target("Instruments"),
    target("Cryptography", ["COpenSSL"]),
    target("TLS", ["COpenSSL"] + nio),
    target("Wire", ["JSON", "Marketplace", "Cryptography"]),
    target("WebSocket", ["CZlib", "Cryptography"]),
    target(
      "WebSocketTransport",
      [
        "WebSocket", "Cryptography", "TLS", "CEpoll", log,
        .product(name: "DequeModule", package: "swift-collections"),
      ] + nio),
    target("ResultPackage", ["CZlib", "CLibdeflate", "Cryptography"]),
    target(
      "Store",
      [
        "JSON", "Marketplace", "Clocks", "Instruments", "Cryptography", log,
        .product(name: "GRDB", package: "GRDB.swift"), .product(name: "GRDBSQLite", package: "GRDB.swift"),
      ]),
    target(
      "Coordinator",
      [
        "JSON", "Marketplace", "Clocks", "Instruments", "Cryptography", "Wire", "WebSocket", "WebSocketTransport",
        "ResultPackage", "Store", log,
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
        .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ] + nio),
    target(
      "MarketplaceClient",
      [
        "JSON", "Marketplace", "Clocks", "Cryptography", "Wire", "WebSocket", "WebSocketTransport", "ResultPackage",
        "TLS", log, .product(name: "DequeModule", package: "swift-collections"),
      ] + nio),
    target(
      "Miner",
      [
        "JSON", "Marketplace", "Clocks", "Cryptography", "Wire", "WebSocket", "WebSocketTransport",
        "MarketplaceClient", "ResultPackage", "CSupervisor", log,
      ] + nio),
    .executableTarget(
      name: "aitbc",
      dependencies: [
        "JSON", "Marketplace", "Clocks", "Cryptography", "Wire", "ResultPackage", "Store", "Coordinator", "Miner",
        "MarketplaceClient", "CSupervisor", log, .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: rules),
    .executableTarget(
      name: "websocket-echo",
      dependencies: [
        "WebSocket", "WebSocketTransport", log,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ] + nio, swiftSettings: rules),
    .executableTarget(
      name: "push-broadcaster",
      dependencies: [
        "Marketplace", "Clocks", "Wire", "Store", "Coordinator", "WebSocket", "WebSocketTransport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ] + nio, path: "Benchmarks/Broadcaster", swiftSettings: rules),

    .executableTarget(
      name: "package-bench", dependencies: ["ResultPackage", "Cryptography"], path: "Benchmarks/package-bench",
      swiftSettings: rules),

    .target(name: "TestRandomness", path: "Tests/TestRandomness", swiftSettings: rules),
    tests("JSON"),
    tests("Marketplace", ["JSON"]),
    tests("Clocks", ["Marketplace"]),
    tests("Instruments"),
    tests("Cryptography"),
    tests("TLS", ["TLSServer", .product(name: "NIOEmbedded", package: "swift-nio")] + nio),
    .target(
      name: "TLSServer", dependencies: ["TLS", "COpenSSL", "LoopbackServer"], path: "Tests/TLSServer",
      swiftSettings: rules),
    tests("Wire", ["JSON", "Marketplace", "Cryptography"]),
    tests("WebSocket", ["Cryptography", "CZlib"]),
    tests(
      "WebSocketTransport",
      [
        "WebSocket", "Cryptography", "TLS", "TLSServer", log, .product(name: "NIOEmbedded", package: "swift-nio"),
      ] + nio),
    tests("ResultPackage", ["Cryptography", "CZlib"]),
    tests(
      "Store",
      [
        "JSON", "Marketplace", "Clocks", "Cryptography", "StoreInMemory", log,
        .product(name: "GRDB", package: "GRDB.swift"),
      ]),
    .target(
      name: "StoreInMemory", dependencies: ["Store", "Marketplace", "Clocks", "Cryptography"],
      path: "Tests/StoreInMemory", swiftSettings: rules),
    .testTarget(
      name: "SimulationTests",
      dependencies: [
        "JSON", "Marketplace", "Clocks", "Cryptography", "Wire", "Store", "Coordinator", "Miner", "MarketplaceClient",
        "StoreInMemory", "TestRandomness", log,
      ], swiftSettings: rules),
    tests(
      "Coordinator",
      [
        "JSON", "Marketplace", "Clocks", "Cryptography", "Wire", "Store", "WebSocket", "WebSocketTransport",
        "ResultPackage", "MarketplaceClient", log, .product(name: "NIOEmbedded", package: "swift-nio"),
      ] + nio),
    tests(
      "Miner",
      [
        "JSON", "Marketplace", "Clocks", "Cryptography", "Wire", "WebSocket", "WebSocketTransport", "ResultPackage",
        "MarketplaceClient", "CSupervisor", log,
      ] + nio),
    .target(name: "LoopbackServer", dependencies: nio, path: "Tests/LoopbackServer", swiftSettings: rules),
    tests(
      "MarketplaceClient",
      [
        "JSON", "Marketplace", "Clocks", "Cryptography", "Wire", "LoopbackServer",
        .product(name: "NIOEmbedded", package: "swift-nio"),
      ] + nio),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "aitbc", "JSON", "Marketplace", "Clocks", "Cryptography", "Wire", "ResultPackage", "MarketplaceClient",
        "LoopbackServer",
      ], swiftSettings: rules),
  ]
)
