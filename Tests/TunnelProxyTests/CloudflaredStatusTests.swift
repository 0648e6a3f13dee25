import Testing

@testable import TunnelProxy

@Suite struct CloudflaredStatusTests {
    @Test(
        arguments: [
            (#"{"status":200,"readyConnections":4,"connectorId":"2ad9-a6e5"}"#, 4, "2ad9-a6e5"),
            ("{\n  \"readyConnections\" : 0\n}", 0, nil), (#"{"readyConnections":1,"connectorId":7}"#, 1, nil),
        ] as [(String, Int, String?)])
    func reads(_ body: String, _ connections: Int, _ id: String?) throws {
        let status = try #require(CloudflaredStatus(Array(body.utf8)))
        #expect(status.readyConnections == connections && status.connectorID == id)
        #expect(status.isReady == (connections > 0))
    }

    @Test(arguments: [
        "", "{}", #"{"readyConnections":-1}"#, #"{"readyConnections":"4"}"#,
        #"{"readyConnections":99999999999999999999}"#,
        #"{"readyConnections"}"#, "<html>readyConnections</html>",
    ])
    func refuses(_ body: String) { #expect(CloudflaredStatus(Array(body.utf8)) == nil) }
}
