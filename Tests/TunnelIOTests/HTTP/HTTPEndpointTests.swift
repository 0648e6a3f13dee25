import Testing
import TunnelCore
import TunnelIO

@Suite struct HTTPEndpointTests {
    static let fields: [(endpoint: HTTPEndpoint, field: String, text: String)] = [
        (HTTPEndpoint(isSecure: true, host: "a.example", port: 443), "a.example", "a.example:443"),
        (HTTPEndpoint(isSecure: true, host: "a.example", port: 80), "a.example:80", "a.example:80"),
        (HTTPEndpoint(isSecure: false, host: "localhost", port: 80), "localhost", "localhost:80"),
        (HTTPEndpoint(isSecure: true, host: "fd00::1", port: 443), "[fd00::1]", "[fd00::1]:443"),
        (HTTPEndpoint(isSecure: true, host: "fd00::1", port: 6443), "[fd00::1]:6443", "[fd00::1]:6443"),
    ]

    @Test(arguments: fields) func thePortIsLeftOutWhereItIsTheSchemes(
        _ row: (endpoint: HTTPEndpoint, field: String, text: String)
    ) {
        #expect(row.endpoint.hostField == row.field && "\(row.endpoint)" == row.text)
    }

    /// A connection made with other credentials, or past the proxy, is another one.
    @Test func theProxyIsPartOfTheEndpoint() {
        func endpoint(_ authorization: String?) -> HTTPEndpoint {
            HTTPEndpoint(
                isSecure: true, host: "a", port: 1,
                proxy: HTTPEndpoint.Proxy(host: "p", port: 2, authorization: authorization.map { Secret($0) }))
        }
        #expect(endpoint("x") == endpoint("x"))
        #expect(endpoint("x") != endpoint("y") && endpoint("x") != endpoint(nil))
        #expect(endpoint(nil) != HTTPEndpoint(isSecure: true, host: "a", port: 1))
        #expect(!"\(String(reflecting: endpoint("hush")))".contains("hush"))
    }

    @Test func aPlainEndpointHasNoProxy() {
        let proxy = HTTPEndpoint.Proxy(host: "p", port: 2)
        #expect(HTTPEndpoint(isSecure: false, host: "localhost", port: 1, proxy: proxy).proxy == nil)
    }
}
