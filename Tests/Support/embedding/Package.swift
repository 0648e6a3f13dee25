// swift-tools-version: 6.2
import PackageDescription

// A program outside of the package that embeds its libraries, as README.md and docs/embedding.md show it: what compiles
// here needs nothing but the public API. The packages that a server in Swift usually stands on have stand-ins here.
let standIns = ["Configuration", "Logging", "Metrics", "ServiceLifecycle"]
let package = Package(
    name: "embedding",
    dependencies: [.package(name: "mcp-tunnel", path: "../../..")],
    targets: [
        .executableTarget(
            name: "Embedding",
            dependencies: ["TunnelCore", "TunnelTLS", "TunnelPKI", "TunnelProxy", "TunnelAPI", "TunnelSetup"].map {
                .product(name: $0, package: "mcp-tunnel")
            } + standIns.map { .target(name: $0) },
            swiftSettings: [.treatAllWarnings(as: .error)])
    ] + standIns.map { .target(name: $0, swiftSettings: [.treatAllWarnings(as: .error)]) }
)
