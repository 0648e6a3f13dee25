import Glibc
import Synchronization
import Testing
import TunnelCore
import TunnelIO
import TunnelProxy

@testable import mcp_proxy

@Suite struct SystemdTests {
    private static func passing(_ count: String, names: String? = nil, process: String? = nil) -> ManagerEnvironment {
        var values = ["LISTEN_FDS": count, "LISTEN_PID": process ?? "77"]
        values["LISTEN_FDNAMES"] = names
        return ManagerEnvironment(values, process: 77)
    }

    /// Given once, and then gone: a child of ours would take it for its own.
    @Test func theEnvironmentIsTaken() {
        var variables = ["LISTEN_FDNAMES": "a:b", "WATCHDOG_PID": "", "NOTIFY_SOCKET": "@n", "HOME": "/root"]
        // The real one is not changed while other tests' threads read it.
        let taken = ManagerEnvironment.take(get: { variables[$0] }, remove: { variables[$0] = nil })
        #expect(taken["LISTEN_FDNAMES"] == "a:b" && taken["NOTIFY_SOCKET"] == "@n" && taken["WATCHDOG_PID"] == nil)
        #expect(variables == ["HOME": "/root"])
    }

    // MARK: Sockets

    @Test func namedSocketsAreFound() throws {
        let found = try PassedSockets.descriptors(Self.passing("1", names: "proxy"))
        #expect(found.map(\.name) == [.proxy] && found.map(\.descriptor) == [3])
        let both = try PassedSockets.descriptors(Self.passing("2", names: "admin:proxy"))
        #expect(both.map(\.name) == [.admin, .proxy] && both.map(\.descriptor) == [3, 4])
        #expect(try PassedSockets.descriptors(Self.passing("1")).map(\.name) == [.proxy])
    }

    /// Nothing was passed, or to another process.
    @Test(arguments: [
        passing("0"), passing("1", process: "78"), passing("1", process: "077"), ManagerEnvironment([:], process: 77),
        ManagerEnvironment(["LISTEN_FDS": "1"], process: 77), ManagerEnvironment(["LISTEN_PID": "77"], process: 77),
    ])
    func othersSocketsAreLeft(_ environment: ManagerEnvironment) throws {
        #expect(try PassedSockets.descriptors(environment).isEmpty)
    }

    private static let wrong: [(ManagerEnvironment, String)] = [
        (passing("-1"), "LISTEN_FDS: -1 is no number from 0 to 249"),
        (passing("250"), "LISTEN_FDS: 250 is no number from 0 to 249"),
        (passing("one"), "LISTEN_FDS: one is no number from 0 to 249"),
        (passing("99999999999999999999"), "LISTEN_FDS: 99999999999999999999 is no number from 0 to 249"),
        (passing("2", names: "proxy"), "LISTEN_FDNAMES: 1 names for 2 descriptors"),
        (passing("1", names: "proxy:"), "LISTEN_FDNAMES: 2 names for 1 descriptors"),
        (
            passing("2", names: "proxy:proxy"),
            "LISTEN_FDS: more than one socket named proxy (leave one ListenStream= in the socket unit)"
        ),
        (passing("2"), "LISTEN_FDS: more than one socket named proxy (leave one ListenStream= in the socket unit)"),
    ]

    @Test(arguments: wrong) func whatCannotBeMeantIsRefused(_ environment: ManagerEnvironment, _ words: String) {
        let error = #expect(throws: ManagerEnvironment.Complaint.self) { try PassedSockets.descriptors(environment) }
        #expect(error?.description == words)
    }

    @Test func aNameThatIsNoneNamesTheRemedy() {
        let error = #expect(throws: ManagerEnvironment.Complaint.self) {
            try PassedSockets.descriptors(Self.passing("1", names: "mcp-proxy.socket"))
        }
        let words = "LISTEN_FDNAMES: descriptor 3 is named mcp-proxy.socket (write FileDescriptorName=proxy or admin)"
        #expect(error?.description == words)
    }

    // MARK: Watchdog

    /// Half of what the manager waits; nothing where it waits for somebody else.
    @Test(
        arguments: [
            ("30000000", nil, .seconds(15)), ("30000000", "77", .seconds(15)), ("30000000", "78", nil),
            ("1", nil, .microseconds(1)), ("2", nil, .microseconds(1)), ("4", nil, .microseconds(2)),
        ] as [(String, String?, Duration?)])
    func readsTheWatchdog(_ microseconds: String, _ process: String?, _ expected: Duration?) throws {
        var values = ["WATCHDOG_USEC": microseconds]
        values["WATCHDOG_PID"] = process
        #expect(try ServiceManager.watchdog(ManagerEnvironment(values, process: 77)) == expected)
    }

    @Test(arguments: ["0", "-5", "1s", "9223372036854775808"]) func refusesNoTime(_ text: String) {
        let error = #expect(throws: ManagerEnvironment.Complaint.self) {
            try ServiceManager.watchdog(ManagerEnvironment(["WATCHDOG_USEC": text], process: 77))
        }
        #expect(error?.description == "WATCHDOG_USEC: \(text) is no number of microseconds")
    }

    // MARK: Notifications

    @Test(arguments: ["", "relative", "vsock:2:1234", "/", "@", "/" + String(repeating: "a", count: 107)])
    func refusesWhatIsNoSocketName(_ name: String) {
        #expect(throws: ManagerEnvironment.Complaint.self) { try NotifySocket(name) }
    }

    @Test(arguments: ["/" + String(repeating: "a", count: 106), "@" + String(repeating: "a", count: 107)])
    func takesTheLongestName(_ name: String) throws {
        let failure = try NotifySocket(name).send(["READY=1"])
        #expect(failure == "no such file or directory" || failure == "connection refused")
    }

    /// Of a manager that cannot be reached the log tells once, and the proxy goes on.
    @Test func aManagerThatHasGoneIsToldOfOnce() {
        let lines = Lines()
        let manager = ServiceManager(ManagerEnvironment(["NOTIFY_SOCKET": "/nowhere/notify"], process: 77))
        let log = Log(threshold: .info, format: .text, sink: lines, now: { UnixTime(seconds: 0) })
        manager.report(to: log)
        for _ in 0..<3 { manager.send(["WATCHDOG=1"]) }
        #expect(lines.texts.count == 1)
        #expect(lines.texts[0].contains("service manager is not told error=\"NOTIFY_SOCKET: sendto: no such file"))
    }

    @Test func wrongVariablesAreToldOf() {
        let lines = Lines()
        let values = ["NOTIFY_SOCKET": "vsock:2", "WATCHDOG_USEC": "x"]
        let manager = ServiceManager(ManagerEnvironment(values, process: 77))
        manager.report(to: Log(threshold: .info, format: .text, sink: lines, now: { UnixTime(seconds: 0) }))
        #expect(lines.texts.count == 2 && !manager.isThere && manager.watchdog == nil)
    }

    @Test func theStatusHasFigures() {
        func status(_ phase: ServiceManager.Phase, refused: Bool = false) -> String {
            ServiceManager.status(
                phase: phase, tunnels: 4, requests: 12, certificateEnd: UnixTime(seconds: 1_800_000_000),
                hasRefusedReload: refused)
        }
        let end = "certificate ends 2027-01-15T08:00:00.000Z"
        #expect(status(.serving) == "serving: tunnels 4, requests under way 12; \(end)")
        #expect(
            status(.draining, refused: true)
                == "draining: tunnels 4, requests under way 12; \(end); the last reload was refused, see the log")
    }
}

/// Keeps the lines of a log.
private final class Lines: LogSink {
    private let kept = Mutex<[String]>([])
    var texts: [String] { kept.withLock { $0 } }

    func write(_ line: Span<UInt8>) {
        let text = line.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        kept.withLock { $0.append(text) }
    }
}
