import Testing
import TunnelCore
import TunnelIO

@testable import TunnelProxy

@Suite struct ConnectionLimitTests {
    /// Memory in bytes, and how many there may be: one for each 64 KiB, from 64 to 20,000.
    @Test(arguments: [
        (0, 64), (4_194_304, 64), (64 * 65_536 + 65_535, 64), (65 * 65_536, 65), (536_870_912, 8192),
        (20_000 * 65_536 - 1, 19_999), (20_000 * 65_536, 20_000), (1 << 40, 20_000),
    ])
    func followsTheMemory(_ bytes: Int, _ count: Int) {
        let group = ConnectionLimit(setting: 0, MemoryLimit(bytes: bytes, source: .controlGroup))
        #expect(group.count == count && group.source == .controlGroup && group.memory == bytes)
        #expect(ConnectionLimit(setting: 0, MemoryLimit(bytes: bytes, source: .machine)).source == .machine)
    }

    @Test func aSettingCountsAlone() {
        let limit = ConnectionLimit(setting: 123_456, MemoryLimit(bytes: 1, source: .machine))
        #expect(limit.count == 123_456 && limit.source == .setting && limit.memory == nil)
    }

    @Test func anUpgradeHasBoundsOfItsOwn() throws {
        func snapshot(_ change: (inout ProxyConfiguration.Limits) -> Void) throws -> ProxySnapshot {
            var settings = try TestProxy.Settings()
            change(&settings.limits)
            return try ProxySnapshot(settings.configuration())
        }
        let usual = try snapshot { _ in }
        #expect(usual.upgradeLimits.maxBytes == 16_384 && usual.upgradeTimeout == 10_000_000_000)
        let tight = try snapshot { ($0.maxHeaderBytes, $0.headerTimeout) = (2048, .seconds(3)) }
        #expect(tight.upgradeLimits.maxBytes == 2048 && tight.upgradeTimeout == 3_000_000_000)
    }
}
