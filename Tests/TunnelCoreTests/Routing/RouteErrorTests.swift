import Testing
import TunnelCore

@Suite struct RouteErrorTests {
    @Test(arguments: [
        ("echo:80", "has a scheme, port or path; write the host name alone"),
        ("*.example", "has a wildcard; write one route for each host"),
    ]) func saysWhatToDo(_ host: String, _ words: String) throws {
        let error = try #require(throws: RouteError.self) {
            try RouteTable(routes: [(host, 0)], tunnelDomain: nil)
        }
        #expect(error.description == "\"\(host)\" \(words)")
    }
}
