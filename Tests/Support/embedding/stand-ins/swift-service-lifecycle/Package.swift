// swift-tools-version: 6.3
import PackageDescription

// Stands for swift-service-lifecycle, with the signatures that Examples/server-ecosystem uses; here so that it compiles without
// a network.
let package = Package(
    name: "swift-service-lifecycle",
    products: [
        .library(name: "ServiceLifecycle", targets: ["ServiceLifecycle"]),
        .library(name: "UnixSignals", targets: ["UnixSignals"]),
    ],
    dependencies: [.package(url: "https://github.com/apple/swift-log.git", from: "1.5.0")],
    targets: [
        .target(name: "UnixSignals"),
        .target(
            name: "ServiceLifecycle", dependencies: ["UnixSignals", .product(name: "Logging", package: "swift-log")]),
    ])
