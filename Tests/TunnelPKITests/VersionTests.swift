import Testing
import TunnelPKI

@Test func versionIsSemantic() {
    let parts = TunnelPKIVersion.current.split(separator: ".")
    #expect(parts.count == 3 && parts.allSatisfy { Int($0) != nil })
}
