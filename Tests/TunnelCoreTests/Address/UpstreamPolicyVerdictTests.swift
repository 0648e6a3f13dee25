import Testing
import TunnelCore

@Suite struct UpstreamPolicyVerdictTests {
    /// Names are looked for in logs and metrics: one for each verdict, saying on which side it is.
    @Test func namesAreDistinctAndStable() {
        let allowed = UpstreamPolicy.Allowance.allCases.map { UpstreamPolicy.Verdict.allowed($0) }
        let denied = UpstreamPolicy.Refusal.allCases.map { UpstreamPolicy.Verdict.denied($0) }
        #expect(allowed.allSatisfy { $0.isAllowed && $0.name.hasPrefix("allowed_") })
        #expect(denied.allSatisfy { !$0.isAllowed && $0.name.hasPrefix("denied_") })
        #expect(Set((allowed + denied).map(\.name)).count == 12)
    }
}
