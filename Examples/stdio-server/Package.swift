// swift-tools-version: 6.3
import PackageDescription

let package = Package(
    name: "stdio-server",
    // In a repository of your own: the place where mcp-tunnel lies.
    dependencies: [.package(name: "mcp-tunnel", path: "../..")],
    targets: [
        .executableTarget(
            name: "stdio-server",
            dependencies: [.product(name: "TunnelCore", package: "mcp-tunnel")])
    ]
)
