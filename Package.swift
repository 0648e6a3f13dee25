// swift-tools-version: 6.3
import PackageDescription

/// One set of compiler settings for every target: Swift 6 mode, warnings are errors, and the upcoming features that
/// make imports explicit and keep `async` functions on their caller's loop.
let swift: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
]

/// What lies beside a library's sources without being one.
let papers = ["API.txt", "CHANGELOG.md"]

let package = Package(
    name: "mcp-tunnel",
    products: [
        .library(name: "TunnelCore", targets: ["TunnelCore"]),
        .library(name: "TunnelTLS", targets: ["TunnelTLS"]),
        .library(name: "TunnelPKI", targets: ["TunnelPKI"]),
        .library(name: "TunnelProxy", targets: ["TunnelProxy"]),
        .library(name: "TunnelAPI", targets: ["TunnelAPI"]),
        .library(name: "TunnelSetup", targets: ["TunnelSetup"]),
        .executable(name: "mcp-proxy", targets: ["mcp-proxy"]),
        .executable(name: "setup", targets: ["setup"]),
    ],
    targets: [
        .target(name: "COpenSSL", linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        .target(name: "CZlib", linkerSettings: [.linkedLibrary("z")]),
        .target(name: "CLinux"),
        .target(name: "CWipe"),

        .target(name: "TunnelCore", dependencies: ["COpenSSL", "CZlib"], exclude: papers, swiftSettings: swift),
        .target(name: "TunnelPKI", dependencies: ["COpenSSL"], exclude: papers, swiftSettings: swift),
        .target(
            name: "TunnelTLS", dependencies: ["TunnelCore", "TunnelPKI", "COpenSSL"], exclude: papers,
            swiftSettings: swift),
        .target(name: "TunnelIO", dependencies: ["TunnelCore", "TunnelTLS", "CLinux"], swiftSettings: swift),
        .target(
            name: "TunnelProxy", dependencies: ["TunnelCore", "TunnelTLS", "TunnelIO", "TunnelPKI"], exclude: papers,
            swiftSettings: swift),
        .target(name: "TunnelCLI", dependencies: ["TunnelCore"], swiftSettings: swift),
        .executableTarget(
            name: "mcp-proxy",
            dependencies: ["TunnelCLI", "TunnelProxy", "TunnelCore", "TunnelTLS", "TunnelPKI", "TunnelIO", "CZlib"],
            swiftSettings: swift),

        .target(
            name: "TunnelAPI", dependencies: ["TunnelCore", "TunnelTLS", "TunnelIO"], exclude: papers,
            swiftSettings: swift),
        .target(
            name: "TunnelSetup", dependencies: ["TunnelCore", "TunnelPKI", "TunnelIO", "TunnelAPI", "CLinux"],
            exclude: papers, swiftSettings: swift),
        .executableTarget(
            name: "setup",
            dependencies: [
                "TunnelCLI", "TunnelSetup", "TunnelCore", "TunnelTLS", "TunnelPKI", "TunnelIO", "TunnelAPI", "CLinux",
                "CWipe",
            ],
            swiftSettings: swift),

        .executableTarget(
            name: "tunnel-bench", dependencies: ["TunnelCore", "TunnelTLS", "TunnelIO", "TunnelPKI", "TunnelProxy"],
            path: "Benchmarks/LoadBench", swiftSettings: swift),

        .executableTarget(
            name: "yaml-dump", dependencies: ["TunnelCore"], path: "Tests/Support/yaml-dump", swiftSettings: swift),

        .executableTarget(
            name: "http2-dump", dependencies: ["TunnelCore"], path: "Tests/Support/http2-dump", swiftSettings: swift),

        .target(name: "CEscape", path: "Tests/Support/CEscape"),
        .executableTarget(
            name: "sandbox-escape", dependencies: ["CEscape", "TunnelProxy", "TunnelIO", "TunnelCore"],
            path: "Tests/Support/sandbox-escape", swiftSettings: swift),

        .target(
            name: "TunnelsAPIFake", dependencies: ["TunnelCore", "TunnelPKI", "TunnelAPI", "COpenSSL"],
            path: "Tests/Support/TunnelsAPIFake", swiftSettings: swift),
        .executableTarget(
            name: "tunnels-api-fake", dependencies: ["TunnelsAPIFake", "TunnelCore", "TunnelIO", "TunnelAPI"],
            path: "Tests/Support/tunnels-api-fake", swiftSettings: swift),

        .target(
            name: "TunnelTestSupport", dependencies: ["TunnelCore", "TunnelTLS", "TunnelIO"],
            path: "Tests/Support/TunnelTestSupport", swiftSettings: swift),
        .target(
            name: "FuzzTargets",
            dependencies: [
                "TunnelCore", "TunnelTLS", "TunnelPKI", "TunnelIO", "TunnelProxy", "TunnelAPI", "TunnelSetup",
            ],
            path: "Fuzz", exclude: ["corpus", "run"], swiftSettings: swift),
        .testTarget(name: "FuzzCorpusTests", dependencies: ["FuzzTargets"], swiftSettings: swift),

        .testTarget(name: "TunnelCoreTests", dependencies: ["TunnelCore"], swiftSettings: swift),
        .testTarget(
            name: "TunnelTLSTests", dependencies: ["TunnelTLS", "TunnelPKI", "TunnelCore", "COpenSSL"],
            swiftSettings: swift),
        .testTarget(name: "TunnelPKITests", dependencies: ["TunnelPKI"], swiftSettings: swift),
        .testTarget(name: "LoadBenchTests", dependencies: ["tunnel-bench"], swiftSettings: swift),
        .testTarget(
            name: "TunnelIOTests", dependencies: ["TunnelIO", "TunnelCore", "TunnelTLS", "TunnelTestSupport"],
            swiftSettings: swift),
        .testTarget(
            name: "TunnelProxyTests",
            dependencies: ["TunnelProxy", "TunnelCore", "TunnelTLS", "TunnelPKI", "TunnelIO", "TunnelTestSupport"],
            swiftSettings: swift),
        .testTarget(
            name: "TunnelAPITests",
            dependencies: [
                "TunnelAPI", "TunnelCore", "TunnelTLS", "TunnelPKI", "TunnelIO", "TunnelsAPIFake", "TunnelTestSupport",
            ],
            swiftSettings: swift),
        .testTarget(
            name: "TunnelsAPIFakeTests",
            dependencies: ["TunnelsAPIFake", "TunnelCore", "TunnelPKI", "TunnelAPI", "tunnels-api-fake"],
            swiftSettings: swift),
        .testTarget(
            name: "TunnelSetupTests",
            dependencies: ["TunnelSetup", "TunnelCore", "TunnelPKI", "TunnelAPI", "TunnelsAPIFake"],
            swiftSettings: swift),
        .testTarget(name: "TunnelCLITests", dependencies: ["TunnelCLI"], swiftSettings: swift),
        .testTarget(
            name: "SetupTests", dependencies: ["setup", "TunnelCLI", "TunnelSetup", "TunnelCore"], swiftSettings: swift),
        .testTarget(
            name: "McpProxyTests", dependencies: ["mcp-proxy", "TunnelCLI", "TunnelCore", "TunnelIO", "TunnelProxy"],
            swiftSettings: swift),
    ]
)
