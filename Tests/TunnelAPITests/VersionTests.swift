import Testing
import TunnelAPI

@Test func versionIsSemantic() {
    let parts = TunnelAPIVersion.current.split(separator: ".", omittingEmptySubsequences: false)
    #expect(parts.count == 3 && parts.allSatisfy { UInt($0) != nil })
}
