import Testing
import TunnelProxy

@testable import mcp_proxy

@Suite struct ReloadTests {
    private static let replies: [ReloadMessage.Reply] = [
        .proxy(ReloadMessage.Proxy(process: 1, path: "/etc/mcp-gateway/config.yaml")),
        // A path may hold anything but a zero.
        .proxy(ReloadMessage.Proxy(process: 4_194_304, path: "/a b\n/ü.yaml")),
        .verdict(.done(needRestart: [])), .verdict(.done(needRestart: ["threads", "listen_addr"])),
        .verdict(.refused("config.yaml:1:2: one\nconfig.yaml:3:4: two")), .stranger,
    ]

    @Test(arguments: replies) func repliesComeBack(_ reply: ReloadMessage.Reply) {
        #expect(ReloadMessage.Reply(reply.text) == reply)
    }

    @Test(arguments: ["", "\n", "proxy", "proxy\n1", "proxy\none\n/path", "Done", "HTTP/1.1 400 Bad Request"])
    func whatIsNoReplyIsNone(_ text: String) { #expect(ReloadMessage.Reply(text) == nil) }

    /// Lines as the kernel writes them: only listening sockets with our prefix count, and only abstract ones.
    @Test func findsTheSocketsInTheKernelsList() {
        let list = """
            Num       RefCount Protocol Flags    Type St Inode Path
            0000000000000000: 00000002 00000000 00010000 0001 01 29611 @mcp-proxy-reload-00112233aabbccdd
            0000000000000000: 00000003 00000000 00000000 0001 03 29612 @mcp-proxy-reload-00112233aabbccdd
            0000000000000000: 00000002 00000000 00010000 0001 01 29613 /tmp/mcp-proxy-reload-1
            0000000000000000: 00000002 00000000 00010000 0001 01 29614 @other
            0000000000000000: 00000002 00000000 00010000 0001 01 29615
            0000000000000000: 00000002 00000000 00010000 0001 01 29616 @mcp-proxy-reload-2
            """
        #expect(
            ReloadClient.names(in: Array(list.utf8)) == ["mcp-proxy-reload-00112233aabbccdd", "mcp-proxy-reload-2"])
        #expect(ReloadClient.names(in: []).isEmpty)
    }

    // MARK: Which

    private static let one = ReloadClient.Found(
        name: "1", proxy: ReloadMessage.Proxy(process: 7, path: "/a.yaml"), user: 0)
    private static let two = ReloadClient.Found(
        name: "2", proxy: ReloadMessage.Proxy(process: 8, path: "/b.yaml"), user: 0)
    /// In a namespace that two containers share, both may be process 1 with the same path.
    private static let twin = ReloadClient.Found(
        name: "3", proxy: ReloadMessage.Proxy(process: 7, path: "/a.yaml"), user: 0)

    private static let chosen: [([ReloadClient.Found], String?, [ReloadClient.Found])] = [
        ([one], nil, [one]), ([one], "/a.yaml", [one]), ([one, two], "/b.yaml", [two]),
        ([one, two, twin], "/a.yaml", [one, twin]),
    ]

    @Test(arguments: chosen)
    func chooses(_ found: [ReloadClient.Found], _ path: String?, _ expected: [ReloadClient.Found]) {
        #expect(ReloadCommand.choose(ReloadClient.Search(found: found), path: path) == .success(expected))
    }

    private static let refused: [(ReloadClient.Search, String?, String)] = [
        (ReloadClient.Search(), nil, "no proxy runs here: "),
        (ReloadClient.Search(), "/a.yaml", "no proxy runs here: "),
        (
            ReloadClient.Search(found: [one, two]), nil,
            "2 proxies run here, name one by -config: process 7 with /a.yaml, process 8 with /b.yaml"
        ),
        (ReloadClient.Search(found: [one]), "/c.yaml", "no proxy runs here with /c.yaml, but process 7 with /a.yaml"),
        (ReloadClient.Search(strangers: [1000]), nil, "the proxy that runs here is that of user 1000: "),
        (ReloadClient.Search(silent: ["read: i/o timeout"]), nil, "the proxy that runs here does not answer: read: "),
    ]

    @Test(arguments: refused) func refuses(_ search: ReloadClient.Search, _ path: String?, _ words: String) {
        guard case .failure(let complaint) = ReloadCommand.choose(search, path: path) else {
            Issue.record("something was chosen")
            return
        }
        #expect(complaint.description.hasPrefix(words))
    }

    @Test func aPathMeansTheSameEverywhere() {
        #expect(ReloadServer.absolute("/a/b.yaml") == "/a/b.yaml")
        let relative = ReloadServer.absolute("b.yaml")
        #expect(relative.hasPrefix("/") && relative.hasSuffix("/b.yaml"))
    }

    // MARK: The socket

    @Test func aSocketKnowsItsPeerAndIsBounded() throws {
        let name = "mcp-proxy-test-\(UInt64.random(in: 0...UInt64.max))"
        let listener = try AbstractSocket.listen(name)
        let client = try AbstractSocket.connect(name)
        let server = try listener.accept()
        #expect(client.peerUser == server.peerUser && client.peerUser != nil)
        try client.send("123456789")
        #expect(try server.receive(limit: 8) == "12345678")
        try server.send("")
        #expect(try client.receive(limit: 8) == "")
    }

    @Test func aNameIsBoundedAndTakenOnce() throws {
        // sockaddr_un has room for 108 bytes, one of which marks the name as abstract.
        let longest = String(repeating: "n", count: 107)
        let listener = try AbstractSocket.listen(longest)
        #expect(throws: (any Error).self) { _ = try AbstractSocket.listen(longest) }
        #expect(throws: (any Error).self) { _ = try AbstractSocket.listen(longest + "n") }
        _ = consume listener
        #expect(throws: (any Error).self) { _ = try AbstractSocket.connect(longest) }
    }
}
