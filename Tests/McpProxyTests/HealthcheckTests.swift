import Glibc
import Testing
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy

@testable import mcp_proxy

@Suite struct HealthcheckTests {
    /// A listener's address, and where it is dialled from its own host.
    private static let reachable: [(String, String)] = [
        (":8080", "127.0.0.1:8080"), ("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:8080", "[::1]:8080"),
        ("[0:0::0]:8080", "[::1]:8080"),
        ("127.0.0.2:1", "127.0.0.2:1"), ("10.1.2.3:65535", "10.1.2.3:65535"), ("[fd00::7]:80", "[fd00::7]:80"),
        ("localhost:8080", "127.0.0.1:8080"), ("unix:/run/mcp.sock", "unix:/run/mcp.sock"),
    ]

    @Test(arguments: reachable) func dialsTheListener(_ listener: String, _ target: String) throws {
        let address = try #require(ListenAddress(listener))
        #expect("\(try Healthcheck.target(of: address))" == target)
    }

    @Test(arguments: [":0", "127.0.0.1:0", "[::]:0"]) func asksForAPortThatIsNotKnown(_ listener: String) throws {
        let address = try #require(ListenAddress(listener))
        let error = #expect(throws: FarSideError.self) { try Healthcheck.target(of: address) }
        #expect(error?.description == "the port of \(address) is not known beforehand: give it by -addr")
    }

    /// What `-addr` may say, and what becomes of it.
    private static let places: [(String, Healthcheck.Place)] = [
        ("mcp-tunnel-test:8080", .name("mcp-tunnel-test", port: 8080)),
        ("MCP-Proxy.tools.svc.cluster.local.:1", .name("mcp-proxy.tools.svc.cluster.local.", port: 1)),
        ("under_score:65535", .name("under_score", port: 65535)),
        ("localhost:8080", .address(.ip(IPAddress(v4Bytes: 127, 0, 0, 1), port: 8080))),
        (":8080", .address(.ip(IPAddress(v4Bytes: 127, 0, 0, 1), port: 8080))),
        ("unix:/run/mcp.sock", .address(.unix(path: "/run/mcp.sock"))),
    ]

    @Test(arguments: places) func takesNames(_ text: String, _ place: Healthcheck.Place) throws {
        #expect(try Healthcheck.Place(text) == place)
    }

    @Test(arguments: ["mcp-proxy", "mcp-proxy:", "mcp-proxy:0", "a:65536", "a b:1", "http://a:1", "127.1:8080", ""])
    func refusesWhatIsNoPlace(_ text: String) {
        let error = #expect(throws: UsageError.self) { try Healthcheck.Place(text) }
        #expect(error.map { "\($0)".contains("NAME:8080") } == true)
    }

    /// The addresses of a name are tried until one accepts: nothing listens on the first.
    @Test func asksTheAddressThatAccepts() throws {
        let (listener, target) = try Self.listen()
        guard case .ip(_, let port) = target else { return }
        let name = "two-addresses.test"
        NameService.shared.standIn(for: name) { _ in
            .success([IPAddress(v4Bytes: 127, 0, 0, 9), IPAddress(v4Bytes: 127, 0, 0, 1)])
        }
        defer { NameService.shared.standIn(for: name, nil) }
        // It is silent, so the check ends at its deadline and names who was asked.
        let place = Healthcheck.Place.name(name, port: port)
        let error = #expect(throws: FarSideError.self) { try Healthcheck.check(place, within: .milliseconds(200)) }
        #expect(error?.description == "read 127.0.0.1:\(port): nothing within 200 ms")
        withExtendedLifetime(listener) {}
    }

    @Test func namesANameThatIsNotThere() {
        let name = "absent.test"
        NameService.shared.standIn(for: name) { _ in .failure(IOError(.nameNotFound, "lookup")) }
        defer { NameService.shared.standIn(for: name, nil) }
        let error = #expect(throws: FarSideError.self) { try Healthcheck.check(.name(name, port: 1)) }
        #expect(error?.description == "lookup absent.test: no such host")
    }

    /// A name server that says nothing costs no more than the check's own time.
    @Test func doesNotWaitForANameServer() {
        let name = "silent.test"
        let asked = ThreadSignal()
        NameService.shared.standIn(for: name) { _ in
            _ = asked.wait(seconds: 10)
            return .failure(IOError(.timedOut, "lookup"))
        }
        defer { NameService.shared.standIn(for: name, nil) }
        let error = #expect(throws: FarSideError.self) {
            try Healthcheck.check(.name(name, port: 1), within: .milliseconds(20))
        }
        #expect(error?.description == "lookup silent.test: nothing within 20 ms")
        asked.post()
    }

    @Test func reportsOneLine() {
        #expect(Healthcheck.line("c.yaml:1: one\nc.yaml:2: two\r\n") == "c.yaml:1: one; c.yaml:2: two")
    }

    private static func listen() throws -> (Listener, SocketAddress) {
        let listener = try Listener(.ip(IPAddress(v4Bytes: 127, 0, 0, 1), port: 0), isShared: false)
        return (listener, listener.address)
    }

    /// A listener whose backlog takes the connection, and that never says anything.
    @Test func givesUpAtTheDeadline() throws {
        let (listener, target) = try Self.listen()
        let error = #expect(throws: FarSideError.self) {
            try Healthcheck.check(.address(target), within: .milliseconds(20))
        }
        #expect(error?.description == "read \(target): nothing within 20 ms")
        withExtendedLifetime(listener) {}
    }

    /// A response that is larger than the handshake's limit ends the check, whatever follows.
    @Test func takesNoResponseWithoutEnd() throws {
        let response = Array(repeating: UInt8(ascii: "x"), count: ClientHandshake.maxResponseHead + 1)
        let error = #expect(throws: FarSideError.self) { try ask(responding: response) }
        #expect(error?.cause == .notWebSocket(status: nil))
    }

    @Test func namesAnotherStatus() throws {
        let response = Array("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".utf8)
        let error = #expect(throws: FarSideError.self) { try ask(responding: response) }
        #expect(error?.description.contains("status 503") == true && error?.cause == .notWebSocket(status: 503))
    }

    @Test func namesAListenerThatHangsUp() throws {
        let error = #expect(throws: FarSideError.self) { try ask(responding: []) }
        #expect(error?.description.hasSuffix(": connection closed without an answer") == true)
    }

    /// Checks a listener that has its response ready when the connection comes and then ends the stream.
    private func ask(responding response: [UInt8]) throws {
        let (listener, target) = try Self.listen()
        let served = ThreadSignal()
        // Listeners are made for loops; this thread may wait.
        try #require(fcntl(listener.descriptor, F_SETFL, 0) == 0)
        let isTaken = BlockingPool.files.submit {
            let accepted = accept(listener.descriptor, nil, nil)
            _ = response.withUnsafeBytes { write(accepted, $0.baseAddress, $0.count) }
            shutdown(accepted, CInt(SHUT_WR))
            // Until the check has hung up: bytes left unread would turn the end of the stream into a reset.
            var room = [UInt8](repeating: 0, count: 4096)
            while read(accepted, &room, room.count) > 0 {}
            close(accepted)
            served.post()
        }
        try #require(isTaken)
        defer { #expect(served.wait(seconds: 10)) }
        try Healthcheck.check(.address(target))
    }
}
