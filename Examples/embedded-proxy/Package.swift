// swift-tools-version: 6.3
import PackageDescription

let package = Package(
    name: "embedded-proxy",
    // In a repository of your own: the place where mcp-tunnel lies.
    dependencies: [.package(name: "mcp-tunnel", path: "../..")],
    targets: [
        .executableTarget(
            name: "embedded-proxy",
            dependencies: [.product(name: "TunnelProxy", package: "mcp-tunnel")])
    ]
)
