import Testing
import TunnelCore

@Suite struct NearestNameTests {
    static let known = ["listen_addr", "log_level", "log_format", "tls", "routes", "shutdown_timeout", "tunnel_domain"]

    @Test(arguments: [
        ("listen_adr", "listen_addr"), ("listenaddr", "listen_addr"), ("listen-addr", "listen_addr"),
        ("LISTEN_ADDR", "listen_addr"), ("loglevel", "log_level"), ("log_levle", "log_level"),
        ("tsl", "tls"), ("lts", "tls"), ("route", "routes"), ("ruotes", "routes"), ("tunnel_domains", "tunnel_domain"),
        ("shutdown_time", "shutdown_timeout"),
    ])
    func finds(_ name: String, _ expected: String) {
        #expect(nearestName(to: name, among: Self.known) == expected)
    }

    @Test(arguments: ["", "x", "abc", "listener", "domain", "zzzzzzzzzz"])
    func findsNothingFar(_ name: String) {
        #expect(nearestName(to: name, among: Self.known) == nil)
    }

    @Test func isBounded() {
        let name = String(repeating: "a", count: 64)
        #expect(nearestName(to: name, among: [name]) == name)
        #expect(nearestName(to: name + "a", among: [name]) == nil)
        #expect(nearestName(to: "a", among: []) == nil)
    }

    @Test func prefersTheFirstOfEquallyNear() {
        #expect(nearestName(to: "cat", among: ["cut", "cab"]) == "cut")
        #expect(nearestName(to: "cat", among: ["cut", "cat"]) == "cat")
    }
}
