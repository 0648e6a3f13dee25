// swift-tools-version: 6.3
import PackageDescription

// WebSocket programs on the codec of TunnelCore, which has no sockets: these are plain ones, with a thread for each.
let swift: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]
let codec: Target.Dependency = .product(name: "TunnelCore", package: "mcp-tunnel")

let package = Package(
    name: "echo",
    // From outside of the repository this would be its address and a version.
    dependencies: [.package(name: "mcp-tunnel", path: "../..")],
    targets: [
        .target(name: "EchoSockets", dependencies: [codec], swiftSettings: swift),
        .executableTarget(name: "echo-server", dependencies: ["EchoSockets", codec], swiftSettings: swift),
        .executableTarget(name: "echo-client", dependencies: ["EchoSockets", codec], swiftSettings: swift),
    ]
)
