import Testing

@testable import TunnelIO

@Suite struct LandlockRightsTests {
    /// A kernel refuses a ruleset with rights that are later than its version.
    @Test(arguments: [(1, 0x1FFF), (2, 0x3FFF), (3, 0x7FFF), (4, 0x7FFF), (5, 0xFFFF), (7, 0xFFFF), (12, 0xFFFF)])
    func `each version has its rights`(_ abi: Int, _ mask: UInt64) {
        #expect(LandlockRights.files(abi).rawValue == mask)
    }

    @Test func `nothing that may be read may be executed`() {
        for rights in [LandlockRights.read, .write, .sockets] { #expect(!rights.contains(.execute)) }
        #expect(LandlockRights.read.isDisjoint(with: [.writeFile, .truncate, .makeFile, .makeSocket, .removeFile]))
    }
}
