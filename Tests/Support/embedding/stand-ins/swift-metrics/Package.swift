// swift-tools-version: 6.3
import PackageDescription

// Stands for swift-metrics, with the signatures that Examples/server-ecosystem uses; here so that it compiles without a network.
let package = Package(
    name: "swift-metrics", products: [.library(name: "Metrics", targets: ["Metrics"])],
    targets: [.target(name: "Metrics")])
