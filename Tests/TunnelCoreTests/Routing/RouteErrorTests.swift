import Testing
import TunnelCore

@Suite struct RouteErrorTests {
    @Test func saysWhatToDo() throws {
        let error = try #require(throws: RouteError.self) {
            try RouteTable(routes: [("echo:80", 0)], tunnelDomain: nil)
        }
        #expect(error.description == "\"echo:80\" has a scheme, port or path; write the host name alone")
    }
}
