import Testing
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTestSupport

/// Names that have several addresses, of which the policy allows some.
@Suite struct ExchangeAddressTests {
    private static let (allowed, refused) = (IPAddress(v4: 0x7F00_0001), IPAddress(v4: 0x7F00_0002))

    /// Whoever owns a name decides what it points to. The others are not dialled, wherever they stand.
    @Test(arguments: [[refused, allowed], [allowed, refused], [refused, allowed, refused]])
    func onlyAllowedAddressesAreDialled(_ addresses: [IPAddress]) throws {
        let upstream = try Upstream.answering(okay("hi"))
        let trap = try Upstream(at: .ip(ExchangeAddressTests.refused, port: upstream.port)) { connection, _ in
            _ = connection.readHead()
            connection.send(okay("trap"))
        }
        let name = "several-\(UInt64.random(in: 0 ... .max)).test"
        NameService.shared.standIn(for: name) { _ in .success(addresses) }
        defer { NameService.shared.standIn(for: name, nil) }
        let address = try UpstreamAddress("http://\(name):\(upstream.port)")
        let only = try IPPrefix("127.0.0.1/32")
        let proxy = try TestProxy { settings in
            settings.routes = [Route(key: "a", upstream: address)]
            settings.upstream.allowedIPs = [only]
        }
        #expect(try proxy.farSide().request().body == "hi")
        #expect(upstream.connections == 1 && trap.connections == 0)
    }

    /// Also where nobody listens at the allowed one: another address of the name is no second choice.
    @Test func aRefusedAddressIsNoSecondChoice() throws {
        let closed = try ClosedPort()
        let trap = try Upstream(at: .ip(ExchangeAddressTests.refused, port: closed.address.port)) { _, _ in }
        let name = "several-\(UInt64.random(in: 0 ... .max)).test"
        NameService.shared.standIn(for: name) { _ in
            .success([ExchangeAddressTests.allowed, ExchangeAddressTests.refused])
        }
        defer { NameService.shared.standIn(for: name, nil) }
        let address = try UpstreamAddress("http://\(name):\(trap.port)")
        let only = try IPPrefix("127.0.0.1/32")
        let proxy = try TestProxy { settings in
            settings.routes = [Route(key: "a", upstream: address)]
            settings.upstream.allowedIPs = [only]
        }
        #expect(try proxy.farSide().request().status == 502)
        #expect(trap.connections == 0)
        #expect(proxy.finished().contains("end=upstream_failed"))
    }
}
