import Testing
import TunnelTLS

@Test func versionIsSemantic() {
    let parts = TunnelTLSVersion.current.split(separator: ".")
    #expect(parts.count == 3 && parts.allSatisfy { Int($0) != nil })
}
