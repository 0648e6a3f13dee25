// swift-tools-version: 6.2
import PackageDescription

// A program outside of the package that embeds its libraries, as README.md and docs/embedding.md show it: what compiles here needs nothing
// but the public API.
let package = Package(
    name: "embedding",
    dependencies: [.package(name: "mcp-tunnel", path: "../../..")],
    targets: [
        .executableTarget(
            name: "Embedding",
            dependencies: ["TunnelCore", "TunnelTLS", "TunnelPKI", "TunnelProxy", "TunnelAPI", "TunnelSetup"].map {
                .product(name: $0, package: "mcp-tunnel")
            },
            swiftSettings: [.treatAllWarnings(as: .error)])
    ]
)
