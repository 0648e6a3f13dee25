import Testing
import TunnelSetup

@Test func versionIsSemantic() {
    let parts = TunnelSetupVersion.current.split(separator: ".", omittingEmptySubsequences: false)
    #expect(parts.count == 3 && parts.allSatisfy { UInt($0) != nil })
}
