import Glibc
import Testing
import TunnelCore
import TunnelTLS

/// The openssl command at the other end, over a loopback socket: code that we did not write, on both sides.
@Suite struct OpenSSLPeerTests {
    static let versions: [(flag: String, version: TLSVersion)] = [("-tls1_2", .tls12), ("-tls1_3", .tls13)]

    @Test(arguments: versions) func servesTheClient(_ row: (flag: String, version: TLSVersion)) throws {
        let listener = try Listener()
        let command =
            "printf 'hello from far' | timeout 20 openssl s_client -quiet \(row.flag) -alpn x,http/1.1 -verify_return_error"
            + " -CAfile \(TestPKI.authority.certificatePath) -servername localhost -verify_hostname localhost"
            + " -connect 127.0.0.1:\(listener.port) 2>/dev/null"
        let pipe = try #require(popen(command, "r"))
        let socket = try listener.accept()

        let contexts = try TestContexts(TestPKI.rsa, serverALPN: ["http/1.1"])
        var server = try TLSStream(server: contexts.server)
        var received: [UInt8] = []
        while received.count < 14 {
            try server.feed(try socket.receive())
            received += try server.read()
            try socket.send(server.takeOutput())
        }
        #expect(received == Array("hello from far".utf8))
        #expect(server.engine.version == row.version)
        #expect(server.engine.alpn == "http/1.1")
        #expect(server.engine.serverName == "localhost")
        let answer = pattern(100_000).map { $0 | 0x80 }
        try server.send(answer)
        server.close()
        try socket.send(server.takeOutput())
        socket.shutDown()
        #expect(TestPKI.drain(pipe) == answer)
        #expect(pclose(pipe) == 0)
    }

    /// Six connections in a row, each with the session that the one before it saved: from the second on all are resumed.
    @Test(arguments: versions) func resumesTheClientAgainAndAgain(_ row: (flag: String, version: TLSVersion)) throws {
        let listener = try Listener()
        let contexts = try TestContexts(TestPKI.rsa)
        let file = "\(TestPKI.directory)/session\(row.flag)"
        var sessions: Set<[UInt8]> = []
        for round in 0...5 {
            // It reads what the server sends, so the ticket, until the server closes.
            let command =
                "printf x | timeout 20 openssl s_client -quiet \(row.flag) -sess_out \(file)"
                + (round > 0 ? " -sess_in \(file)" : "")
                + " -CAfile \(TestPKI.authority.certificatePath) -connect 127.0.0.1:\(listener.port) 2>/dev/null"
            let pipe = try #require(popen(command, "r"))
            let socket = try listener.accept()
            var server = try TLSStream(server: contexts.server)
            var received: [UInt8] = []
            while received.isEmpty {
                try server.feed(try socket.receive())
                received += try server.read()
                try socket.send(server.takeOutput())
            }
            #expect(server.engine.isResumed == (round > 0), "connection \(round)")
            try server.send([1])
            server.close()
            try socket.send(server.takeOutput())
            socket.shutDown()
            #expect(TestPKI.drain(pipe) == [1])
            pclose(pipe)
            sessions.insert(TestPKI.read(file))
        }
        // The file holds the ticket; in TLS 1.2 it stays the one of the first connection.
        #expect(row.version == .tls12 || sessions.count == 6)
    }

    /// The client knows another authority: it says so, and the server's error has the name operators look for.
    @Test(arguments: versions) func hearsWhyTheClientRefuses(_ row: (flag: String, version: TLSVersion)) throws {
        let listener = try Listener()
        let command =
            "timeout 20 openssl s_client -quiet \(row.flag) -verify_return_error"
            + " -CAfile \(TestPKI.stranger.certificatePath) -connect 127.0.0.1:\(listener.port) 2>&1"
        let pipe = try #require(popen(command, "r"))
        defer { pclose(pipe) }
        let socket = try listener.accept()
        var server = try TLSStream(server: TestContexts().server)
        let error = #expect(throws: TLSError.self) {
            while true {
                try server.feed(try socket.receive())
                try socket.send(server.takeOutput())
            }
        }
        #expect(error?.alert?.isFromPeer == true && error?.alert?.name == "unknown certificate authority")
    }

    @Test(arguments: versions) func isAClientOfTheServer(_ row: (flag: String, version: TLSVersion)) throws {
        let command =
            "timeout 20 openssl s_server -accept 127.0.0.1:0 -naccept 1 \(row.flag) -rev -state -alpn http/1.1"
            + " -cert \(TestPKI.leaf.certificatePath) -key \(TestPKI.leaf.keyPath) 2>&1"
        let pipe = try #require(popen(command, "r"))
        defer { pclose(pipe) }
        let port = try #require(readPort(pipe))
        let socket = try Socket.connect(port: port)

        let contexts = try TestContexts(clientALPN: ["h2", "http/1.1"])
        var client = try TLSStream(client: contexts.client, serverName: "localhost")
        var received: [UInt8] = []
        var hasAsked = false
        while received.count < 4 {
            try socket.send(client.takeOutput())
            try client.feed(try socket.receive())
            received += try client.read()
            if client.isHandshakeComplete, !hasAsked {
                hasAsked = true
                try client.send(Array("abc\n".utf8))
            }
        }
        #expect(received == Array("cba\n".utf8))
        #expect(client.engine.version == row.version)
        #expect(client.engine.alpn == "http/1.1")
        let fingerprint = try TestPKI.leaf.identity().fingerprint
        #expect(client.engine.peerFingerprint == fingerprint)
        client.close()
        try socket.send(client.takeOutput())
        socket.shutDown()
        let words = String(decoding: TestPKI.drain(pipe), as: UTF8.self)
        #expect(words.contains("alert read:warning:close notify") && !words.contains("alert write:fatal"))
    }

    /// From the line `ACCEPT 127.0.0.1:12345`.
    private func readPort(_ pipe: UnsafeMutablePointer<FILE>) -> UInt16? {
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, CInt(line.count), pipe) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard text.hasPrefix("ACCEPT") else { continue }
            return text.split(separator: ":").last.flatMap { UInt16($0.filter(\.isNumber)) }
        }
        return nil
    }
}
