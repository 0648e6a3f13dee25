import Testing
import TunnelTLS

@Suite struct TLSVersionTests {
    @Test func ordersByAge() {
        #expect(TLSVersion.tls12 < .tls13)
        #expect(TLSVersion.allCases.sorted() == TLSVersion.allCases)
    }

    @Test func readsAsPeopleWriteIt() {
        #expect(TLSVersion.tls13.rawValue == "TLS 1.3" && TLSVersion.tls12.rawValue == "TLS 1.2")
    }
}
