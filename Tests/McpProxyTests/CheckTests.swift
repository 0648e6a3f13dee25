import Glibc
import Testing
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy

@testable import mcp_proxy

@Suite struct CheckTests {
    private static func report(_ levels: [CheckResult.Level], isBlind: Bool = false) -> CheckReport {
        var report = CheckReport(configuration: "c.yaml")
        report.checks = levels.map { level in
            switch level {
            case .pass: .pass("settings", "fine")
            case .skip: .skip("route.tcp")
            case .warn: .found(.slow, in: "route.mcp")
            case .fail: .found(.misdirected, in: "route.mcp", evidence: ["421"])
            }
        }
        report.finish(ms: 1, isBlind: isBlind)
        return report
    }

    private static let statuses: [([CheckResult.Level], Bool, TunnelCLI.ExitStatus, CheckResult.Level)] = [
        ([], false, .done, .pass), ([.pass, .skip], false, .done, .pass), ([.pass, .warn], false, .done, .warn),
        ([.warn, .fail, .pass], false, .failed, .fail), ([.fail], true, .usage, .fail),
    ]

    @Test(arguments: 0..<statuses.count) func exitStatus(_ row: Int) {
        let (levels, isBlind, status, result) = Self.statuses[row]
        let report = Self.report(levels, isBlind: isBlind)
        #expect(report.status == status && report.result == result)
    }

    @Test func tableShowsWhyAndWhatToDo() {
        let table = Self.report([.pass, .fail, .skip, .warn]).table.split(separator: "\n").map(String.init)
        #expect(table[0] == "LEVEL  CHECK      ROUTE  WHAT")
        #expect(table[2].hasPrefix("fail   route.mcp") && table[2].hasSuffix("[mcp-host-refused]"))
        #expect(table[3] == "      seen  421")
        #expect(table[4].hasPrefix("      why   ") && table[5].hasPrefix("      next  "))
        #expect(!table.contains { $0.contains(CheckResult.notReached) })
        #expect(table.contains("fail: 1 failure, 1 warning, 1 passed, 1 skipped in 1 ms"))
    }

    @Test func jsonHasTheNamesOfThePage() {
        let json = Self.report([.fail]).json
        for part in [
            #""schema" : 1"#, #""fault" : "mcp-host-refused""#, #""exit_status" : 1"#, #""level" : "fail""#,
            #""ms" : 0"#,
        ] { #expect(json.contains(part), "\(part)") }
    }

    // MARK: Clock

    @Test(
        arguments: [
            ([(100, 100)], nil), ([(160, 100)], nil), ([(161, 100)], "clock-skew"), ([(39, 100)], "clock-skew"),
            // One server that is wrong proves nothing.
            ([(100, 100), (100, 100), (9_000, 100)], nil), ([], nil),
        ] as [([(Int64, Int64)], String?)])
    func clockOfTheServers(_ dates: [(Int64, Int64)], _ fault: String?) {
        let result = SettingsCheck.clock(dates: dates.map { (theirs: $0.0, ours: $0.1) }, now: 1_800_000_000)
        #expect(result.fault == fault)
    }

    @Test func clockBeforeThisProgram() {
        #expect(SettingsCheck.clock(dates: [], now: 1_700_000_000).fault == "clock-implausible")
    }

    @Test(
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Sat, 28 Nov 2026 14:00:06 GMT", 1_795_874_406),
            ("Sunday, 06-Nov-94 08:49:37 GMT", nil), ("", nil), ("Sun, 06 Nov 1994 08:49:99 GMT", nil),
            ("Sun, 06 Foo 1994 08:49:37 GMT", nil), ("Sun, 06 Nov 19940000000000 GMT", nil),
        ] as [(String, Int64?)])
    func datesOfHTTP(_ text: String, _ seconds: Int64?) { #expect(HTTPDate.seconds(text) == seconds) }

    // MARK: Listener

    @Test(
        arguments: [
            (":8080", [("lo", "127.0.0.1"), ("eth0", "192.0.2.7")], "192.0.2.7 through eth0"),
            ("[::]:8080", [("eth0", "fe80::1"), ("eth0", "2001:db8::1")], "2001:db8::1 through eth0"),
            ("192.0.2.7:8080", [("eth0", "192.0.2.6"), ("eth1", "192.0.2.7")], "192.0.2.7 through eth1"),
            ("192.0.2.8:8080", [("eth0", "192.0.2.7")], nil), ("127.0.0.1:8080", [("eth0", "192.0.2.7")], nil),
            // Containers of this host, and neighbours on the wire.
            (":8080", [("docker0", "172.17.0.1"), ("veth1a", "10.0.0.1"), ("eth0", "fe80::1")], nil),
            ("unix:/run/mcp.sock", [("eth0", "192.0.2.7")], nil),
        ] as [(String, [(String, String)], String?)])
    func whoReachesTheListener(_ listener: String, _ interfaces: [(String, String)], _ place: String?) throws {
        let address = try #require(ListenAddress(listener))
        let own = try interfaces.map { name, text in (name: name, address: try #require(IPAddress(text))) }
        let reach = ListenerReach.beyondHost(address, by: own, isContainer: false)
        #expect(reach == place.map { "listen_addr \(address) can be reached at \($0)" })
        #expect(ListenerReach.beyondHost(address, by: own, isContainer: true) == nil)
    }

    // MARK: Failures

    private static let address = SocketAddress.ip(IPAddress(v4: 0x7F00_0001), port: 9)

    @Test(arguments: [
        ("certificate has expired; certificate verify failed", Fault.tlsExpired),
        ("certificate is not yet valid", .tlsNotYetValid), ("hostname mismatch", .tlsName),
        ("IP address mismatch", .tlsName), ("self-signed certificate", .tlsUntrusted),
        ("unable to get local issuer certificate", .tlsUntrusted), ("wrong version number", .tlsPlain),
        ("tlsv13 alert certificate required", .tlsClientCertificate), ("tlsv1 alert no application protocol", .tlsALPN),
        ("tlsv1 alert protocol version", .tlsProtocol), ("sslv3 alert handshake failure", .tlsProtocol),
        ("something else", .tlsFailed),
    ])
    func wordsOfTLS(_ detail: String, _ fault: Fault) {
        let failure = UpstreamFailure(tls: IOError(.tls, "handshake", detail: detail), to: Self.address)
        #expect(failure.fault == fault && failure.evidence[0].contains(detail))
    }

    @Test(arguments: [
        (ECONNREFUSED, Fault.connectionRefused), (EHOSTUNREACH, .unreachable), (ENETUNREACH, .unreachable),
        (ECONNRESET, .reset),
    ])
    func refusedConnections(_ number: CInt, _ fault: Fault) {
        let error = DialError(address: Self.address, error: IOError(.system(number), "connect"))
        #expect(UpstreamFailure(dial: error).fault == fault)
    }

    @Test(
        arguments: [
            ([0x15, 0x03, 0x01, 0, 2, 2, 70], Fault.speaksTLS), ([0, 0, 18, 4, 0, 0, 0, 0, 0], .http2Only),
            ([0, 0, 8, 7, 0, 0, 0, 0, 0], .http2Only),
            (Array("HTTP/1.1 200".utf8), .notHTTP), (Array("SSH-2.0".utf8), .notHTTP), ([], .notHTTP),
            ([0x15], .notHTTP),
        ] as [([UInt8], Fault)])
    func firstBytes(_ first: [UInt8], _ fault: Fault) {
        let failure = OwnRequest.Failure.malformed(reason: "x", first: first)
        #expect(UpstreamFailure(failure, to: Self.address, isHTTP2: false, within: .seconds(1)).fault == fault)
    }

    @Test(arguments: [
        ("HTTP/1.1 505 ", Fault.http1Only), ("HTTP/1.0 400 ", .http1Only), ("HTTP/2", .notHTTP), ("", .notHTTP),
    ])
    func firstBytesToHTTP2(_ first: String, _ fault: Fault) {
        let failure = OwnRequest.Failure.malformed(reason: "x", first: Array(first.utf8))
        #expect(UpstreamFailure(failure, to: Self.address, isHTTP2: true, within: .seconds(1)).fault == fault)
    }

    // MARK: Authorization

    @Test(
        arguments: [
            ("https://login.example.com/realm", "login.example.com"),
            ("https://LOGIN.example.com:8443", "login.example.com"),
            ("http://127.0.0.1:80/", "127.0.0.1"), ("https://[fd00::1]:8443/x", "fd00::1"),
            // What stands before an at sign is nobody's host, whatever it looks like.
            ("https://u@h.example/", nil), ("https://[fd00::1]@evil.example/", nil),
            ("https://127.0.0.1@evil.example/", nil),
            ("ftp://h.example/", nil), ("nonsense", nil), ("https://", nil), ("https://a b/", nil),
        ] as [(String, String?)])
    func hostsOfURLs(_ url: String, _ host: String?) { #expect(AuthorizationCheck.host(of: url) == host) }

    @Test(arguments: [
        ("/mcp", true), ("/a?b=c", true), ("mcp", false), ("/a b", false), ("/a\r\nX: y", false), ("/ü", false),
    ])
    func pathsOfRequests(_ text: String, _ isOne: Bool) { #expect(AuthorizationCheck.isPath(text) == isOne) }

    @Test func challengeNamesItsMetadata() {
        let challenge = #"Bearer error="x", resource_metadata="https://a/b""#
        #expect(AuthorizationCheck.metadataURL(in: challenge) == "https://a/b")
        #expect(AuthorizationCheck.metadataURL(in: "Bearer") == nil)
    }
}
