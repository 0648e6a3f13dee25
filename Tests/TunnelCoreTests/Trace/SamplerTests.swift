import Testing
import TunnelCore

@Suite struct SamplerTests {
    private func id(_ low: UInt64) throws -> TraceID { try #require(TraceID(high: 1, low: low)) }

    @Test(
        arguments: [
            ("always_on", nil, 1, false), ("always_off", nil, 0, false), ("always_on", "0.5", 1, false),
            ("traceidratio", "0.25", 0.25, false), ("traceidratio", nil, 1, false),
            ("parentbased_always_on", nil, 1, true),
            ("parentbased_always_off", "1", 0, true), ("parentbased_traceidratio", "0.01", 0.01, true),
            ("parentbased_traceidratio", "1e-3", 0.001, true),
        ] as [(String, String?, Double, Bool)])
    func readsTheVariables(_ name: String, _ argument: String?, _ ratio: Double, _ followsParent: Bool) {
        #expect(Sampler(name: name, argument: argument) == Sampler(ratio: ratio, followsParent: followsParent))
    }

    @Test(
        arguments: [
            ("", nil), ("on", nil), ("parentbased_", nil), ("parentbased_parentbased_always_on", nil),
            ("Always_On", nil),
            ("jaeger_remote", "endpoint=x"), ("traceidratio", "1.01"), ("traceidratio", "-0.1"),
            ("traceidratio", "nan"),
            ("traceidratio", "half"), ("traceidratio", "inf"),
        ] as [(String, String?)])
    func refuses(_ name: String, _ argument: String?) { #expect(Sampler(name: name, argument: argument) == nil) }

    /// At the bound: the id below it is recorded, the one at it is not. OpenTelemetry's libraries have the same one.
    @Test func decidesByTheLowerHalf() throws {
        let half = Sampler(ratio: 0.5, followsParent: true)
        #expect(half.records(try id(0x7FFF_FFFF_FFFF_FFFF), parentIsSampled: nil))
        #expect(!half.records(try id(0x8000_0000_0000_0000), parentIsSampled: nil))
        let none = Sampler(ratio: 0, followsParent: false), all = Sampler(ratio: 1, followsParent: false)
        #expect(!none.records(try id(0), parentIsSampled: true))
        #expect(all.records(try id(.max), parentIsSampled: false))
    }

    @Test func theParentDecidesWhereItIsFollowed() throws {
        for ratio in [0, 0.5, 1] {
            let sampler = Sampler(ratio: ratio, followsParent: true)
            for low in [0, .max] as [UInt64] {
                #expect(sampler.records(try id(low), parentIsSampled: true))
                #expect(!sampler.records(try id(low), parentIsSampled: false))
            }
        }
    }

    @Test func oneInAHundredIsThat() {
        let sampler = Sampler(ratio: 0.01, followsParent: true)
        var random = RandomNumbers()
        let recorded = (0..<100_000).count { _ in sampler.records(random.traceID(), parentIsSampled: nil) }
        // Six standard deviations.
        #expect((810...1_190).contains(recorded))
    }

    @Test func saysItsName() {
        #expect(Sampler(ratio: 1, followsParent: true).description == "parentbased_always_on")
        #expect(Sampler(ratio: 0, followsParent: false).description == "always_off")
        #expect(Sampler(ratio: 0.01, followsParent: true).description == "parentbased_traceidratio{0.01}")
    }
}
