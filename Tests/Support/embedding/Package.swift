// swift-tools-version: 6.3
import PackageDescription

// A program outside of the package that embeds its libraries, as README.md and docs/embedding.md show it: what compiles
// here needs nothing but the public API. Some snippets are files of Examples/server-ecosystem; the packages that those need have
// stand-ins here, which `run` puts in the places of the real ones.
let others = [
    "swift-configuration": "Configuration", "swift-log": "Logging", "swift-metrics": "Metrics",
    "swift-service-lifecycle": "ServiceLifecycle",
]
let package = Package(
    name: "embedding",
    dependencies: [
        .package(name: "mcp-tunnel", path: "../../.."),
        .package(url: "https://github.com/apple/swift-configuration.git", from: "1.0.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.5.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.6.0"),
    ],
    targets: [
        .executableTarget(
            name: "Embedding",
            dependencies: ["TunnelCore", "TunnelTLS", "TunnelPKI", "TunnelProxy", "TunnelAPI", "TunnelSetup"].map {
                .product(name: $0, package: "mcp-tunnel")
            } + others.map { .product(name: $1, package: $0) },
            swiftSettings: [.treatAllWarnings(as: .error)])
    ]
)
