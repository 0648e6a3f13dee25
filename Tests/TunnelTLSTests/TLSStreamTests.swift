import Testing
import TunnelCore
import TunnelTLS

@Suite struct TLSStreamTests {
    @Test func carriesBytesBothWays() throws {
        let contexts = try TestContexts()
        var client = try TLSStream(client: contexts.client, serverName: "localhost")
        var server = try TLSStream(server: contexts.server)
        try exchange(&client, &server)
        #expect(client.isHandshakeComplete == true)
        #expect(server.isHandshakeComplete == true)
        #expect(server.engine.version == .tls13)
        try client.send(Array("ping".utf8))
        try exchange(&client, &server)
        #expect(try server.read(atMost: 2) == Array("pi".utf8))
        #expect(try server.read() == Array("ng".utf8))
        #expect(try server.read() == [])
        server.close()
        try exchange(&client, &server)
        #expect(client.isAtEnd == true)
        try client.endOfInput()
        #expect(throws: TLSError.self) { try server.endOfInput() }
    }

    /// However little room there is and however the bytes are cut, all of them come out, in order.
    @Test(arguments: [1, 100, 16_384, 1 << 20], [1, 999, 1 << 20])
    func holdsBackWhatNobodyReads(_ readLimit: Int, _ pieceSize: Int) throws {
        let contexts = try TestContexts()
        var client = try TLSStream(client: contexts.client, serverName: "localhost")
        var server = try TLSStream(server: contexts.server, readLimit: readLimit)
        try exchange(&client, &server)
        let data = pattern(20_000)
        try client.send(data)
        client.close()
        let records = client.takeOutput()
        for start in stride(from: 0, to: records.count, by: pieceSize) {
            try server.feed(Array(records[start..<min(start + pieceSize, records.count)]))
        }
        #expect(server.wantsInput == (readLimit > data.count))
        var received: [UInt8] = []
        while server.isReadable {
            let bytes = try server.read()
            #expect(bytes.count <= readLimit)
            received += bytes
        }
        #expect(received == data)
        #expect(server.isAtEnd == true)
    }

    /// Bytes that come while others are held wait behind them, also when reading has made some room in between.
    @Test(arguments: [1, 7, 100], [1, 40, 333])
    func whatComesLaterStaysBehind(_ readLimit: Int, _ pieceSize: Int) throws {
        let contexts = try TestContexts()
        var client = try TLSStream(client: contexts.client, serverName: "localhost")
        var server = try TLSStream(server: contexts.server, readLimit: readLimit)
        try exchange(&client, &server)
        let data = pattern(2_000)
        for start in stride(from: 0, to: data.count, by: 50) { try client.send(Array(data[start..<start + 50])) }
        client.close()
        let records = client.takeOutput()
        var received: [UInt8] = []
        for start in stride(from: 0, to: records.count, by: pieceSize) {
            try server.feed(Array(records[start..<min(start + pieceSize, records.count)]))
            received += try server.read(atMost: readLimit / 2 + 1)
        }
        while server.isReadable { received += try server.read(atMost: 3) }
        #expect(received == data && server.isAtEnd)
    }

    @Test func refusesBrokenRecordsWhenTheirTurnComes() throws {
        let contexts = try TestContexts()
        var client = try TLSStream(client: contexts.client, serverName: "localhost")
        var server = try TLSStream(server: contexts.server, readLimit: 5)
        try exchange(&client, &server)
        try client.send([1, 2, 3, 4, 5])
        try server.feed(client.takeOutput())
        try server.feed(Array("this is no record".utf8))
        #expect(throws: TLSError.self) { _ = try server.read() }
        #expect(server.takeOutput().isEmpty == false)
    }

    @Test func recordsAreTakenAsTheTransportTakesThem() throws {
        let contexts = try TestContexts()
        var client = try TLSStream(client: contexts.client, serverName: "localhost")
        var server = try TLSStream(server: contexts.server)
        while !client.output.isEmpty || !server.output.isEmpty {
            try move(&client, to: &server)
            try move(&server, to: &client)
        }
        #expect(client.isHandshakeComplete && server.isHandshakeComplete)
        try client.send([1, 2, 3])
        client.consumeOutput(0)
        try move(&client, to: &server)
        #expect(try server.read() == [1, 2, 3])
    }

    /// Seven bytes at a time, as a socket may that is nearly full.
    private func move(_ from: inout TLSStream, to other: inout TLSStream) throws {
        while !from.output.isEmpty {
            let piece = Array(from.output.array.prefix(7))
            from.consumeOutput(piece.count)
            try other.feed(piece)
        }
    }

    private func exchange(_ client: inout TLSStream, _ server: inout TLSStream) throws {
        while !client.output.isEmpty || !server.output.isEmpty {
            try server.feed(client.takeOutput())
            try client.feed(server.takeOutput())
        }
    }
}
