import Testing
import TunnelCore

@Test func versionIsSemantic() {
    let parts = TunnelCoreVersion.current.split(separator: ".")
    #expect(parts.count == 3 && parts.allSatisfy { Int($0) != nil })
}
