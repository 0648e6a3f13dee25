import Glibc
import Testing
import TunnelCore

@testable import TunnelProxy

@Suite struct RouteResolutionTests {
    private func snapshot(
        after previous: ProxySnapshot? = nil, rereading: ProxySnapshot.Rereading = .all,
        _ options: [String: RouteOptions]
    ) throws -> ProxySnapshot {
        var settings = try TestProxy.Settings(["a": 1, "b": 1, "c": 1])
        settings.routes.sort { $0.key < $1.key }
        settings.routeOptions = options
        return try ProxySnapshot(settings.configuration(), listeners: [], after: previous, rereading: rereading)
    }

    private func narrow(_ range: String) throws -> RouteOptions {
        var options = RouteOptions()
        options.allowedIPs = [try IPPrefix(range)]
        return options
    }

    @Test func routesWithTheSameSettingsUseEachOthersConnections() throws {
        let found = try snapshot(["a": narrow("127.0.0.1"), "b": narrow("127.0.0.1")]).routes.map(\.key)
        #expect(found[0] == found[1] && found[0] != found[2] && found[2].egress == 0)
        let apart = try snapshot(["a": narrow("127.0.0.1"), "b": narrow("127.0.0.2")]).routes.map(\.key)
        #expect(Set(apart).count == 3)
    }

    @Test func bothListsHaveToAllowAnAddress() throws {
        let snapshot = try snapshot(["a": narrow("127.0.0.0/31")])
        let (a, b) = (snapshot.routes[0].key, snapshot.routes[1].key)
        #expect(snapshot.verdict(IPAddress(v4: 0x7F00_0001), of: a).isAllowed)
        #expect(snapshot.verdict(IPAddress(v4: 0x7F00_0002), of: a) == .denied(.notAllowed))
        #expect(snapshot.verdict(IPAddress(v4: 0x7F00_0002), of: b).isAllowed)
        #expect(!snapshot.verdict(IPAddress(v4: 0x0A00_0001), of: a).isAllowed)
    }

    /// Connections that were made by another list are used no more; numbers of lists may change their meaning.
    @Test func anotherListIsAnotherGeneration() throws {
        let first = try snapshot(["a": narrow("127.0.0.1")])
        let same = try snapshot(after: first, ["a": narrow("127.0.0.1")])
        #expect(same.generation(of: .http) == first.generation(of: .http))
        #expect(same.generation(of: .https) > first.generation(of: .https))
        let other = try snapshot(after: same, ["a": narrow("127.0.0.2")])
        #expect(other.generation(of: .http) > same.generation(of: .http))
        let none = try snapshot(after: other, [:])
        #expect(none.generation(of: .http) > other.generation(of: .http))
    }

    @Test func countsGoOnOverAReload() throws {
        let first = try snapshot([:])
        let next = try snapshot(after: first, ["a": narrow("127.0.0.1")])
        #expect(next.limiters["a"] === first.limiters["a"] && next.limiters["a"] !== next.limiters["b"])
    }

    @Test func valuesComeFromFilesWithoutWhatEditorsAdd() throws {
        let file = try Scratch(" \t")
        var options = RouteOptions()
        options.setHeaders = [.init(name: "X-Key", file: file.path, prefix: "P ")]
        for (content, value) in [("v", "v"), ("v w\n", "v w"), ("v \t\r\n\n", "v")] {
            try file.write(content)
            let lines = try snapshot(["a": options]).routes[0].rules?.lines
            #expect(lines.map { String(decoding: $0, as: UTF8.self) } == "X-Key: P \(value)\r\n")
        }
        for content in [
            "", "\n", " v", "a\nb", "a\r\nX: b", "a\u{0}b", "a\u{7f}", String(repeating: "v", count: 8_193),
        ] {
            try file.write(content)
            let error = #expect(throws: ConfigurationError.self) { _ = try snapshot(["a": options]) }
            #expect(error?.description.contains("route_options.a.set_headers.X-Key.file: \(file.path)") == true)
            #expect(error?.description.contains("vvvv") == false)
        }
        try file.write(String(repeating: "v", count: 8_192))
        _ = try snapshot(["a": options])
    }

    /// Another token is no reason to give connections up.
    @Test func anotherValueLeavesConnectionsAlone() throws {
        let file = try Scratch("one")
        var options = RouteOptions()
        options.setHeaders = [.init(name: "X-Key", file: file.path)]
        let first = try snapshot(["a": options])
        try file.write("two")
        #expect(RouteFiles.digests(of: first.configuration) != first.routeFiles)
        let next = try snapshot(after: first, rereading: .headerValues, ["a": options])
        #expect(next.generation(of: .https) == first.generation(of: .https))
        #expect(next.routes[0].rules?.lines == Array("X-Key: two\r\n".utf8))
        #expect(RouteFiles.digests(of: next.configuration) == next.routeFiles)
    }

    private final class Scratch {
        let path = "/tmp/route-value-\(getpid())-\(UInt32.random(in: 0 ... .max))"

        init(_ text: String) throws { try write(text) }
        deinit { unlink(path) }

        func write(_ text: String) throws {
            let file = try #require(fopen(path, "w"))
            defer { fclose(file) }
            let bytes = Array(text.utf8)
            #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
        }
    }
}
