// swift-tools-version: 6.3
import PackageDescription

let package = Package(
    name: "server-ecosystem",
    dependencies: [
        // In a repository of your own: the place where mcp-tunnel lies.
        .package(name: "mcp-tunnel", path: "../.."),
        .package(url: "https://github.com/apple/swift-configuration.git", from: "1.0.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.5.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.6.0"),
    ],
    targets: [
        .executableTarget(
            name: "server-ecosystem",
            dependencies: [
                .product(name: "TunnelCore", package: "mcp-tunnel"),
                .product(name: "TunnelProxy", package: "mcp-tunnel"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ])
    ]
)
