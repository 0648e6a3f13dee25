import Testing
import TunnelIO

@Test func TunnelIOVersionIsSemantic() {
    let parts = TunnelIOVersion.current.split(separator: ".")
    #expect(parts.count == 3 && parts.allSatisfy { Int($0) != nil })
}
