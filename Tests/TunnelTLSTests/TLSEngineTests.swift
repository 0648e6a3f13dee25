import Testing
import TunnelCore
import TunnelTLS

@Suite struct TLSEngineTests {
    static let pairs: [TestPair] = [TestPKI.leaf, TestPKI.rsa]

    @Test(arguments: pairs, TLSVersion.allCases)
    func connects(_ pair: TestPair, _ version: TLSVersion) throws {
        let contexts = try TestContexts(pair, version: version)
        var pipe = try TestConnection(contexts)
        try pipe.run()
        #expect(pipe.client.isHandshakeComplete && pipe.server.isHandshakeComplete)
        #expect(pipe.clientCompletions == 1 && pipe.serverCompletions == 1)
        #expect(pipe.server.version == version && pipe.client.version == version)
        #expect(pipe.server.cipher == pipe.client.cipher)
        #expect(pipe.server.cipher?.contains("AES_128_GCM") == true)
        #expect(pipe.server.serverName == "localhost")
        #expect(pipe.client.peerFingerprint == contexts.server.identity.fingerprint)
        #expect(pipe.server.peerFingerprint == nil)
        #expect(pipe.client.peerChain.first == pipe.client.peerCertificate && pipe.server.peerChain == [])
        #expect(pipe.client.group != nil && pipe.client.group == pipe.server.group)
        #expect(!pipe.server.isResumed && pipe.server.alpn == nil)

        try pipe.client.write(Array("ping".utf8), output: &pipe.toServer)
        try pipe.run()
        #expect(pipe.atServer.take() == Array("ping".utf8))
        try pipe.server.write(Array("pong".utf8), output: &pipe.toClient)
        try pipe.run()
        #expect(pipe.atClient.take() == Array("pong".utf8))
    }

    @Test func knowsNothingBeforeTheHandshake() throws {
        let pipe = try TestConnection(TestContexts())
        #expect(pipe.client.version == nil && pipe.client.cipher == nil && pipe.client.alpn == nil)
        #expect(pipe.client.group == nil && pipe.client.peerChain == [])
        #expect(pipe.client.peerFingerprint == nil && pipe.client.session == nil && !pipe.client.isResumed)
    }

    /// Every flight of both ends is cut at the same place: no cut changes what comes out.
    @Test(arguments: TLSVersion.allCases)
    func everySplitGivesTheSame(_ version: TLSVersion) throws {
        let contexts = try TestContexts(version: version)
        let request = pattern(300), answer = pattern(400)
        for cut in 1...1_200 {
            var pipe = try TestConnection(contexts)
            try pipe.run(cut: cut)
            try pipe.client.write(request, output: &pipe.toServer)
            try pipe.client.write(request, output: &pipe.toServer)
            pipe.client.close(output: &pipe.toServer)
            try pipe.run(cut: cut)
            try pipe.server.write(answer, output: &pipe.toClient)
            pipe.server.close(output: &pipe.toClient)
            try pipe.run(cut: cut)
            #expect(pipe.atServer.take() == request + request, "cut at \(cut)")
            #expect(pipe.atClient.take() == answer, "cut at \(cut)")
            #expect(pipe.server.isClosed && pipe.client.isClosed, "cut at \(cut)")
            #expect(pipe.serverCompletions == 1 && pipe.clientCompletions == 1)
        }
    }

    @Test(arguments: pairs, TLSVersion.allCases)
    func oneByteAtATime(_ pair: TestPair, _ version: TLSVersion) throws {
        var pipe = try TestConnection(TestContexts(pair, version: version))
        try pipe.run(cut: 1, pieceSize: 1)
        let data = pattern(40_000)
        try pipe.client.write(data, output: &pipe.toServer)
        try pipe.run(cut: 1, pieceSize: 1)
        #expect(pipe.atServer.take() == data)
    }

    /// 8 MiB through a reader that keeps at most 10,000 bytes and takes odd amounts.
    @Test(arguments: TLSVersion.allCases)
    func limitHoldsPlaintextBack(_ version: TLSVersion) throws {
        var pipe = try TestConnection(TestContexts(version: version))
        try pipe.run()
        let data = pattern(8 << 20), limit = 10_000
        var received: [UInt8] = [], output = ByteBuffer(), sawPending = false, sawRest = false
        received.reserveCapacity(data.count)
        for start in stride(from: 0, to: data.count, by: 100_000) {
            try pipe.client.write(Array(data[start..<min(start + 100_000, data.count)]), output: &output)
            var input = output.take()[...]
            while true {
                let progress = try pipe.server.process(
                    Array(input), plaintext: &pipe.atServer, limit: limit, output: &pipe.toClient)
                input = input.dropFirst(progress.consumed)
                #expect(pipe.atServer.count <= limit)
                if progress.hasPending { sawPending = true }
                if !input.isEmpty { sawRest = true }
                if pipe.atServer.isEmpty {
                    #expect(input.isEmpty && !progress.hasPending)
                    break
                }
                let taken = min(pipe.atServer.count, 7_777)
                received += pipe.atServer.array[..<taken]
                pipe.atServer.consume(taken)
            }
        }
        #expect(received == data)
        #expect(sawPending && sawRest)
    }

    @Test func atItsLimitTakesNothing() throws {
        var pipe = try TestConnection(TestContexts())
        try pipe.run()
        try pipe.client.write(pattern(100), output: &pipe.toServer)
        let records = pipe.toServer.take()
        let none = try pipe.server.process(records, plaintext: &pipe.atServer, limit: 0, output: &pipe.toClient)
        #expect(none.consumed == 0 && !none.hasPending)
        let some = try pipe.server.process(records, plaintext: &pipe.atServer, limit: 99, output: &pipe.toClient)
        #expect(some.consumed == records.count && some.hasPending && pipe.atServer.count == 99)
        let rest = try pipe.server.process([], plaintext: &pipe.atServer, limit: 100, output: &pipe.toClient)
        #expect(rest.consumed == 0 && !rest.hasPending && pipe.atServer.count == 100)
    }

    /// A small message must not grow the caller's buffer to a whole record.
    @Test func smallMessagesKeepBuffersSmall() throws {
        var pipe = try TestConnection(TestContexts())
        try pipe.run()
        pipe.atServer.release()
        for _ in 0..<3 {
            try pipe.client.write(pattern(200), output: &pipe.toServer)
            try pipe.run(cut: 7, pieceSize: 50)
            #expect(pipe.atServer.count == 200 && pipe.atServer.capacity < 512)
            pipe.atServer.release()
        }
    }

    @Test func recordsAreFullAndOutputIsAppended() throws {
        var pipe = try TestConnection(TestContexts(version: .tls13))
        try pipe.run()
        var output = ByteBuffer()
        output.append([1, 2, 3])
        try pipe.server.write(pattern(16_384), output: &output)
        #expect(output.count == 3 + 16_384 + 22)
        #expect(Array(output.array[..<8]) == [1, 2, 3, 0x17, 3, 3, 0x40, 0x11])
        output.removeAll()
        try pipe.server.write(pattern(16_385), output: &output)
        #expect(output.count == 16_385 + 2 * 22)
        output.removeAll()
        try pipe.server.write([], output: &output)
        #expect(output.isEmpty == true)
    }

    @Test func writesOnlyBetweenHandshakeAndClose() throws {
        var pipe = try TestConnection(TestContexts())
        #expect(throws: TLSError.self) { try pipe.server.write([1], output: &pipe.toClient) }
        #expect(pipe.toClient.isEmpty == true)
        pipe.server.close(output: &pipe.toClient)
        #expect(pipe.toClient.isEmpty == true, "nothing to close in the midst of a handshake")
        try pipe.run()
        pipe.server.close(output: &pipe.toClient)
        let once = pipe.toClient.count
        pipe.server.close(output: &pipe.toClient)
        #expect(once > 0 && pipe.toClient.count == once)
        #expect(throws: TLSError.self) { try pipe.server.write([1], output: &pipe.toClient) }
        #expect(pipe.toClient.count == once)
    }

    /// The other direction stays open after close_notify (RFC 8446 §6.1), and bytes behind it are ignored.
    @Test(arguments: TLSVersion.allCases)
    func closesOneDirection(_ version: TLSVersion) throws {
        var pipe = try TestConnection(TestContexts(version: version))
        try pipe.run()
        pipe.client.close(output: &pipe.toServer)
        pipe.toServer.append("no record at all")
        let all = pipe.toServer.take()
        let progress = try pipe.server.process(all, plaintext: &pipe.atServer, output: &pipe.toClient)
        #expect(progress.isClosed && progress.consumed == all.count && pipe.atServer.isEmpty)
        try pipe.server.endOfInput()
        try pipe.server.write([1, 2], output: &pipe.toClient)
        try pipe.run()
        #expect(pipe.atClient.take() == [1, 2])
    }

    /// A stream cut at any byte is never taken for a whole one.
    @Test func truncationIsAnError() throws {
        let contexts = try TestContexts()
        var whole = 0
        var cut = 0
        repeat {
            var pipe = try TestConnection(contexts)
            try pipe.run()
            try pipe.client.write(pattern(20), output: &pipe.toServer)
            pipe.client.close(output: &pipe.toServer)
            let records = pipe.toServer.take()
            whole = records.count
            let progress = try pipe.server.process(
                Array(records[..<cut]), plaintext: &pipe.atServer, output: &pipe.toClient)
            #expect(progress.isClosed == (cut == whole))
            if cut < whole {
                #expect(throws: TLSError.self) { try pipe.server.endOfInput() }
            } else {
                try pipe.server.endOfInput()
            }
            cut += 1
        } while cut <= whole
    }

    /// Each byte of a record is protected: change any and the connection ends with an alert to the peer.
    @Test(arguments: TLSVersion.allCases)
    func corruptionIsAnError(_ version: TLSVersion) throws {
        let contexts = try TestContexts(version: version)
        var index = 0, count = 1
        while index < count {
            var pipe = try TestConnection(contexts)
            try pipe.run()
            try pipe.client.write(pattern(10), output: &pipe.toServer)
            var record = pipe.toServer.take()
            count = record.count
            // A length that grew by less than 16 KiB only waits for more bytes; give it them.
            record[index] ^= 0x01
            record += pattern(300)
            let error = #expect(throws: TLSError.self) {
                _ = try pipe.server.process(record, plaintext: &pipe.atServer, output: &pipe.toClient)
            }
            #expect(error?.alert?.isFromPeer == false, "byte \(index)")
            #expect(pipe.atServer.isEmpty && !pipe.toClient.isEmpty)
            let answer = #expect(throws: TLSError.self) { try pipe.run() }
            #expect(answer?.alert?.isFromPeer == true && answer?.alert?.value == error?.alert?.value)
            // Dead from now on.
            #expect(throws: TLSError.self) { try pipe.server.write([1], output: &pipe.toClient) }
            #expect(throws: TLSError.self) {
                _ = try pipe.server.process([], plaintext: &pipe.atServer, output: &pipe.toClient)
            }
            index += 1
        }
    }

    static let garbage: [(String, [UInt8])] = [
        ("an HTTP request", Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)),
        ("zeros", [UInt8](repeating: 0, count: 100)),
        ("application data first", [0x17, 3, 3, 0, 5, 1, 2, 3, 4, 5]),
        ("a record over its limit", [0x16, 3, 1, 0xFF, 0xFF, 1, 0, 0, 0]),
        ("a ClientHello that ends too soon", [0x16, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3]),
        ("SSL 2", [0x80, 0x2E, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10] + [UInt8](repeating: 1, count: 40)),
    ]
    @Test(arguments: garbage) func refusesGarbage(_ row: (name: String, bytes: [UInt8])) throws {
        let contexts = try TestContexts()
        for pieceSize in [row.bytes.count, 1] {
            var server = try TLSEngine(server: contexts.server)
            var input = ByteBuffer(), plaintext = ByteBuffer(), output = ByteBuffer()
            input.append(row.bytes)
            #expect(throws: TLSError.self) {
                for piece in input.takePieces(first: pieceSize, others: pieceSize) {
                    _ = try server.process(piece, plaintext: &plaintext, output: &output)
                }
            }
            #expect(plaintext.isEmpty && !server.isHandshakeComplete)
        }
    }

    /// One byte over the limit is refused, the limit itself still waits for more.
    @Test func boundsTheHandshake() throws {
        let contexts = try TestContexts()
        // A ClientHello said to be 120,000 bytes long, in records of 4 KiB. OpenSSL alone would take 128 KiB.
        var flood: [UInt8] = [1, 0x01, 0xD4, 0xC0, 3, 3] + [UInt8](repeating: 0, count: 119_998)
        var records: [UInt8] = []
        while !flood.isEmpty {
            records += [0x16, 3, 1, 0x10, 0] + flood.prefix(4_096)
            flood.removeFirst(min(4_096, flood.count))
        }
        let limit = TLSEngine.maxHandshakeBytes.fromClient
        for pieceSize in [limit, 1_000] {
            var server = try TLSEngine(server: contexts.server)
            var input = ByteBuffer(), plaintext = ByteBuffer(), output = ByteBuffer()
            input.append(Array(records[..<limit]))
            for piece in input.takePieces(first: pieceSize, others: pieceSize) {
                _ = try server.process(piece, plaintext: &plaintext, output: &output)
            }
            let error = #expect(throws: TLSError.self) {
                _ = try server.process([0], plaintext: &plaintext, output: &output)
            }
            #expect(error?.operation == "handshake" && error?.reason.contains("more than it may") == true)
        }
    }

    /// Data that comes in the same piece as the end of the handshake is not lost.
    @Test(arguments: TLSVersion.allCases)
    func dataMayFollowTheHandshakeAtOnce(_ version: TLSVersion) throws {
        var pipe = try TestConnection(TestContexts(version: version))
        while !pipe.client.isHandshakeComplete {
            try pipe.deliverToServer()
            try pipe.deliverToClient()
        }
        try pipe.client.write(pattern(100), output: &pipe.toServer)
        try pipe.deliverToServer()
        #expect(pipe.server.isHandshakeComplete && pipe.atServer.take() == pattern(100))
    }
}
