// swift-tools-version: 6.3
import PackageDescription

let package = Package(
    name: "provision",
    // In a repository of your own: the place where mcp-tunnel lies.
    dependencies: [.package(name: "mcp-tunnel", path: "../..")],
    targets: [
        .executableTarget(
            name: "provision",
            dependencies: [
                .product(name: "TunnelAPI", package: "mcp-tunnel"),
                .product(name: "TunnelCore", package: "mcp-tunnel"),
                .product(name: "TunnelSetup", package: "mcp-tunnel"),
            ])
    ]
)
