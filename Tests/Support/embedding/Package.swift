// swift-tools-version: 6.2
import PackageDescription

// A program outside of the package that embeds its libraries, as the README shows it: what compiles here needs nothing
// but the public API.
let package = Package(
    name: "embedding",
    dependencies: [.package(name: "mcp-tunnel", path: "../../..")],
    targets: [
        .executableTarget(
            name: "Embedding",
            dependencies: ["TunnelCore", "TunnelTLS", "TunnelPKI", "TunnelProxy"].map {
                .product(name: $0, package: "mcp-tunnel")
            },
            swiftSettings: [.treatAllWarnings(as: .error)])
    ]
)
