// swift-tools-version: 6.3
import PackageDescription

// Stands for swift-log, with the signatures that Examples/server-ecosystem uses; here so that it compiles without a network.
let package = Package(
    name: "swift-log", products: [.library(name: "Logging", targets: ["Logging"])],
    targets: [.target(name: "Logging")])
