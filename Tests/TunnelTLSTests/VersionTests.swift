import Testing
import TunnelTLS

@Test func TunnelTLSVersionIsSemantic() {
    let parts = TunnelTLSVersion.current.split(separator: ".")
    #expect(parts.count == 3 && parts.allSatisfy { Int($0) != nil })
}
