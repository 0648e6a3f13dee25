import Testing
import TunnelProxy

@Test func versionIsSemantic() {
    let parts = TunnelProxyVersion.current.split(separator: ".")
    #expect(parts.count == 3 && parts.allSatisfy { Int($0) != nil })
}
