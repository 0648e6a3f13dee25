import Testing
import TunnelCLI
import TunnelProxy

@testable import mcp_proxy

@Suite struct ProbeOptionsTests {
    private func options(_ arguments: String...) throws -> ProbeOptions {
        let line = ["probe", "-ca", "c", "-host", "Echo.t.example"] + arguments
        guard case .run(_, let parsed) = try ProxyProgram.table.parse(line) else { throw UsageError("no command") }
        return try ProbeOptions(parsed)
    }

    @Test func defaults() throws {
        let options = try options()
        #expect(options.place == (try Healthcheck.Place("127.0.0.1:8080")) && options.host == "echo.t.example")
        #expect(options.path == "/mcp" && options.plain == nil && options.fields.isEmpty && options.count == 1)
        #expect(options.limit == .seconds(10) && options.interval == .seconds(1) && !options.hasAuthorization)
    }

    @Test(arguments: [
        ("ws://127.0.0.1:1", "127.0.0.1:1"), ("ws://127.0.0.1:1/", "127.0.0.1:1"), ("ws://[::1]:1", "[::1]:1"),
        ("ws://mcp-proxy:1", "mcp-proxy:1"), ("unix:/run/p.sock", "unix:/run/p.sock"),
    ])
    func takesEachFormOfURL(_ url: String, _ place: String) throws {
        #expect(try options("-url", url).place == Healthcheck.Place(place))
    }

    @Test func aRequestIsPlainWhereItSaysSo() throws {
        #expect(try options("-include").plain?.method == "GET")
        #expect(try options("-data", "x").plain.map { ($0.method, $0.body) } ?? ("", []) == ("POST", [0x78]))
        #expect(try options("-data", "x", "-method", "PUT").plain?.method == "PUT")
        #expect(try options("-path", "/x", "-H", "A: 1").plain == nil)
    }

    @Test(arguments: ["mcp", "*", "http://a/mcp", "/a b", "/a\r\nX: y", "/\u{fc}"]) func refusesWhatIsNoPath(
        _ path: String
    ) {
        let error = #expect(throws: UsageError.self) { try options("-path", path) }
        #expect(error?.reason.hasPrefix("flag -path: ") == true)
    }

    /// The value may be a secret, and is in no error.
    @Test(arguments: [
        "A", "A b: hush", ": hush", "A: hush\r\nX: y", "A: hush\nX: y", "A: hush\u{0}", "Upgrade: hush",
        "CONTENT-length: hush",
    ])
    func refusesWhatIsNoField(_ field: String) {
        let error = #expect(throws: UsageError.self) { try options("-H", field) }
        #expect(error?.reason.hasPrefix("flag -H: ") == true && error?.reason.contains("hush") == false)
    }

    @Test func fieldsComeInTheirOrder() throws {
        let options = try options("-H", "A: 1", "-H", "authorization:Bearer x:y", "-H", "A:")
        #expect(options.fields.map { "\($0.name)=\($0.value)" } == ["A=1", "authorization=Bearer x:y", "A="])
        #expect(options.hasAuthorization)
    }
}

@Suite struct ProbeStatisticsTests {
    private func report(_ number: Int, milliseconds: Int, fails: Bool = false) -> ProbeReport {
        var report = ProbeReport(number: number)
        report.time = .milliseconds(milliseconds)
        if fails { report.problems = [.init(hop: .tcp, fault: .proxyNotRunning, evidence: [])] }
        return report
    }

    @Test func percentilesAreTimesThatWereMeasured() {
        var statistics = ProbeStatistics()
        #expect(statistics.percentile(50) == nil && statistics.loss == 0)
        for number in (1...200).reversed() { statistics.take(report(number, milliseconds: number)) }
        for (percent, milliseconds) in [(1, 2), (50, 100), (90, 180), (99, 198), (100, 200)] {
            #expect(statistics.percentile(percent) == .milliseconds(milliseconds))
        }
    }

    @Test func whatFailedIsLostAndHasNoTime() {
        var statistics = ProbeStatistics()
        statistics.take(report(1, milliseconds: 7))
        statistics.take(report(2, milliseconds: 9000, fails: true))
        #expect((statistics.count, statistics.lost, statistics.loss) == (2, 1, 0.5))
        #expect(statistics.percentile(100) == .milliseconds(7))
        statistics = ProbeStatistics()
        statistics.take(report(1, milliseconds: 1, fails: true))
        #expect(statistics.percentile(50) == nil && statistics.loss == 1)
    }
}

@Suite struct ProbeProblemTests {
    @Test(arguments: [
        (FarSideError.Cause.refused, ProbeReport.Hop.tcp, "proxy-not-running"),
        (.refused, .unix, "proxy-not-running"), (.timedOut, .tcp, "proxy-unreachable"),
        (.nameNotFound, .name, "upstream-name-unknown"),
        (.notWebSocket(status: 200), .websocket, "proxy-not-websocket"),
        (.notWebSocket(status: 503), .websocket, "proxy-connection-limit"),
        (.endedEarly, .websocket, "proxy-not-websocket"), (.timedOut, .tls, "inner-tls-failed"),
        (.tls(reason: "hostname mismatch; certificate verify failed"), .tls, "inner-tls-name"),
        (.tls(reason: "certificate has expired; certificate verify failed"), .tls, "inner-tls-expired"),
        (.tls(reason: "certificate is not yet valid"), .tls, "inner-tls-expired"),
        (.tls(reason: "unable to get local issuer certificate"), .tls, "inner-tls-untrusted"),
        (.tls(reason: "self-signed certificate in certificate chain"), .tls, "inner-tls-untrusted"),
        (.tls(reason: "unsupported protocol"), .tls, "inner-tls-failed"),
        (.timedOut, .mcp, "upstream-silent"), (.endedEarly, .mcp, "tunnel-broken-off"),
    ])
    func eachCauseIsAFaultOfItsHop(_ cause: FarSideError.Cause, _ hop: ProbeReport.Hop, _ id: String) {
        let problem = ProbeReport.Problem(FarSideError("words", cause), at: hop)
        #expect(problem.fault.id == id && problem.evidence == ["words"])
    }

    @Test func whatBreaksOffBehindTheHeadIsAnotherFault() {
        let ended = ProbeReport.Problem(FarSideError("", .endedEarly), at: .request, hasBegun: true)
        let silent = ProbeReport.Problem(FarSideError("", .timedOut), at: .request, hasBegun: true)
        #expect((ended.fault.id, silent.fault.id) == ("upstream-broken-off", "upstream-stalled"))
    }

    /// The words alone do not make it the proxy's.
    @Test func responsesOfTheProxyAreTold() {
        let text = Array("No route configured for host\n".utf8)
        #expect(ProbeReport.Problem(status: 502, type: "text/plain", body: text)?.fault.id == "route-unknown")
        #expect(ProbeReport.Problem(status: 502, type: "text/html", body: text) == nil)
        #expect(ProbeReport.Problem(status: 404, type: "text/plain", body: text) == nil)
        #expect(ProbeReport.Problem(status: 502, type: "text/plain", body: Array("Bad Gateway".utf8)) == nil)
    }

    @Test(arguments: [
        (200, nil), (302, nil), (401, nil), (404, "mcp-path-not-found"), (405, "mcp-post-not-allowed"),
        (421, "mcp-host-refused"), (429, "mcp-rate-limited"), (500, "mcp-server-error"), (400, "mcp-request-refused"),
    ])
    func statusesOfAServer(_ status: Int, _ id: String?) {
        #expect(ProbeReport.Problem(status: status, isLoggedIn: false, evidence: [])?.fault.id == id)
    }

    @Test func aLoginThatIsRefusedFails() {
        for status in [401, 403] {
            let problem = ProbeReport.Problem(status: status, isLoggedIn: true, evidence: [])
            #expect(problem?.fault.id == "mcp-login-refused")
        }
    }
}
