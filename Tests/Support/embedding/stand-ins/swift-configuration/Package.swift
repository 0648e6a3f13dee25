// swift-tools-version: 6.3
import PackageDescription

// Stands for swift-configuration, with the signatures that Examples/server-ecosystem uses; here so that it compiles without a network.
let package = Package(
    name: "swift-configuration", products: [.library(name: "Configuration", targets: ["Configuration"])],
    targets: [.target(name: "Configuration")])
