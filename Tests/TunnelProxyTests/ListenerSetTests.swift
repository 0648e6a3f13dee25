import Testing
import TunnelCore
import TunnelIO

@testable import TunnelProxy

private let loopback = IPAddress(v4Bytes: 127, 0, 0, 1)

@Suite struct ListenerSetTests {
    @Test func oneForEachLoopOnOnePort() throws {
        let set = try ListenerSet(.tcp(loopback, port: 0), count: 3)
        #expect(Set(set.listeners.map(\.descriptor)).count == 3)
        #expect(Set(set.listeners.map(\.address)) == [set.address])
        #expect(!set.isShared)
    }

    @Test func aUnixSocketIsShared() throws {
        let path = "\(TestIdentity.directory)/set"
        let set = try ListenerSet(.unix(path: path), count: 2)
        #expect(set.listeners.count == 1 && set.listeners(ofLoop: 1)[0] === set.listeners[0])
        #expect(set.isShared && set.own.isEmpty)
    }

    @Test func theProxysOwnAddressesAreKnown() throws {
        let one = try ListenerSet(.tcp(loopback, port: 0), count: 1)
        #expect(one.own.map(\.address) == [loopback])
        // The policy knows what a wildcard means.
        let all = try ListenerSet(.tcp(nil, port: 0), count: 1)
        #expect(all.own.map(\.address.isUnspecified) == [true])
    }

    /// Both would let others bind their port; a second proxy must not take half of the connections unseen.
    @Test(arguments: [loopback, nil]) func aSecondProxyOnThePortIsRefused(_ ip: IPAddress?) throws {
        let first = try ListenerSet(.tcp(ip, port: 0), count: 2)
        guard case .ip(_, let port) = first.address else { return }
        #expect(throws: ProxyError.self) { try ListenerSet(.tcp(ip, port: port), count: 2) }
        withExtendedLifetime(first) {}
    }

    @Test func aPortInUseNamesTheAddress() throws {
        let taken = try Upstream { _, _ in }
        let error = #expect(throws: ProxyError.self) {
            try ListenerSet(.tcp(loopback, port: taken.port), count: 1)
        }
        #expect(
            error?.description == """
                listen tcp 127.0.0.1:\(taken.port): bind: address already in use (`ss -ltnp 'sport = :\(taken.port)'` names who \
                listens there: stop it, or write another port)
                """)
    }

    @Test func aPathInUseNamesIt() throws {
        let path = "\(TestIdentity.directory)/in-use"
        let first = try ListenerSet(.unix(path: path), count: 1)
        let error = #expect(throws: ProxyError.self) { try ListenerSet(.unix(path: path), count: 1) }
        #expect(
            error?.description
                == "listen unix \(path): bind: address already in use: another process listens on \(path)")
        withExtendedLifetime(first) {}
    }

    // MARK: Passed sockets

    @Test(arguments: [1, 3]) func aPassedSocketIsSharedByAllLoops(_ count: Int) throws {
        let passed = try Listener(.ip(loopback, port: 0), isShared: false)
        guard case .ip(_, let port) = passed.address else { return }
        let set = try ListenerSet(.tcp(loopback, port: port), count: count, passed: [passed])
        #expect(
            (0..<count).allSatisfy {
                set.listeners(ofLoop: $0).map(ObjectIdentifier.init) == [ObjectIdentifier(passed)]
            })
        #expect(set.isShared == (count > 1) && set.own.map(\.port) == [port])
    }

    /// A process that takes another's place may have more loops, or fewer: each loop has one at least, and each socket a loop.
    @Test(arguments: [(1, 3), (3, 1), (2, 5), (5, 2), (3, 3)])
    func eachPassedSocketHasALoop(_ sockets: Int, _ loops: Int) throws {
        let passed = try (0..<sockets).map { _ in try Listener(.ip(loopback, port: 0), isShared: false) }
        guard case .ip(_, let port) = passed[0].address else { return }
        // Of one port, but for the check of their address.
        let set = try ListenerSet(.tcp(loopback, port: 0), count: loops, passed: passed)
        let served = (0..<loops).flatMap { set.listeners(ofLoop: $0).map(\.descriptor) }
        #expect(Set(served) == Set(passed.map(\.descriptor)))
        #expect((0..<loops).allSatisfy { !set.listeners(ofLoop: $0).isEmpty })
        #expect(set.isShared == (sockets < loops) && set.own.map(\.port) == [port])
    }

    @Test func aPassedSocketHasToBeTheOneThatIsConfigured() throws {
        let passed = try Listener(.ip(loopback, port: 0), isShared: false)
        let error = #expect(throws: ProxyError.self) {
            try ListenerSet(.tcp(loopback, port: 1), count: 1, passed: [passed])
        }
        let remedy = "write the same in listen_addr and in ListenStream= of the socket unit"
        #expect(
            error?.description
                == "listen_addr: 127.0.0.1:1, but the socket that was passed listens at \(passed.address) (\(remedy))")
    }

    /// A listener that is asked for, one that is there, and whether it will do.
    private static let met: [(String, SocketAddress, Bool)] = [
        ("127.0.0.1:8080", .ip(loopback, port: 8080), true), ("127.0.0.1:8080", .ip(loopback, port: 8081), false),
        ("127.0.0.1:0", .ip(loopback, port: 8081), true),
        ("127.0.0.2:8080", .ip(loopback, port: 8080), false),
        (":8080", .ip(IPAddress(v6High: 0, low: 0), port: 8080), true),
        (":8080", .ip(IPAddress(v4: 0), port: 8080), true),
        (":8080", .ip(loopback, port: 8080), false), ("[::]:8080", .ip(IPAddress(v4: 0), port: 8080), false),
        ("127.0.0.1:8080", .ip(IPAddress(v4: 0), port: 8080), false),
        ("unix:/run/a", .unix(path: "/run/a"), true), ("unix:/run/a", .unix(path: "/run/b"), false),
        ("unix:/run/a", .unix(path: "@run/a"), false), ("unix:/run/a", .ip(loopback, port: 1), false),
        (":1", .unix(path: "/run/a"), false),
    ]

    @Test(arguments: met) func passedSocketsAreCompared(_ wanted: String, _ found: SocketAddress, _ isMet: Bool) throws
    {
        #expect(try #require(ListenAddress(wanted)).isMet(by: found) == isMet)
    }

    /// The group is looked up for a Unix socket only, and named when there is none.
    @Test func readsWhoMayConnect() throws {
        func access(_ address: String, _ mode: Int, _ group: String?) throws -> SocketFile.Access {
            let settings = try TestProxy.Settings()
            return try ListenerSet.access(
                ProxyConfiguration(
                    listenAddress: #require(ListenAddress(address)), listenMode: mode, listenGroup: group,
                    tls: settings.tls, routes: settings.routes, tunnelDomain: TestIdentity.domain))
        }
        #expect(try access("unix:/a", 0o600, nil) == SocketFile.Access(mode: 0o600, group: nil))
        #expect(try access("unix:/a", 0o660, "root") == SocketFile.Access(mode: 0o660, group: 0))
        #expect(try access(":1", 0o660, "no-such-group").group == nil)
        let error = #expect(throws: ProxyError.self) { try access("unix:/a", 0o660, "no-such-group") }
        #expect(error?.description.hasPrefix("listen_group: no group \"no-such-group\"") == true)
    }
}
