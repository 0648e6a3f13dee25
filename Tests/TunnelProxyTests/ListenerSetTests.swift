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
        #expect(set.listeners.count == 2 && set.listeners[0] === set.listeners[1])
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
        #expect(error?.description == "listen tcp 127.0.0.1:\(taken.port): bind: address already in use")
    }
}
