import COpenSSL
import Testing
import TunnelCore
import TunnelPKI

@testable import TunnelTLS

@Suite struct TicketKeysTests {
    /// A session of a first connection, with its ticket.
    private func session(_ contexts: TestContexts) throws -> TLSClientSession {
        var pipe = try TestConnection(contexts)
        try pipe.run()
        let session = pipe.client.session
        return try #require(session)
    }

    private func resumes(_ contexts: TestContexts, _ session: TLSClientSession) throws -> Bool {
        var pipe = try TestConnection(contexts, session: session)
        try pipe.run()
        #expect(pipe.client.isResumed == pipe.server.isResumed)
        try pipe.client.write([1, 2, 3], output: &pipe.toServer)
        try pipe.run()
        #expect(pipe.atServer.take() == [1, 2, 3])
        return pipe.server.isResumed
    }

    @Test(arguments: TLSVersion.allCases)
    func resumesAcrossContexts(_ version: TLSVersion) throws {
        let keys = try TicketKeys()
        let first = try TestContexts(version: version, tickets: keys)
        let token = try session(first)
        #expect(try resumes(first, token))
        #expect(try resumes(first, token), "a token that was used once is still good")
        #expect(try resumes(TestContexts(version: version, tickets: keys), token), "another context, the same chain")
        #expect(try !resumes(TestContexts(version: version, tickets: TicketKeys()), token))
    }

    /// The keys alone do not make a session good: it ends with the chain that it was made under, be it that the key is
    /// another one, that the CA is, or only the certificate.
    @Test(arguments: TLSVersion.allCases, [TestPKI.rsa, TestPKI.sameKeyOtherCA, TestPKI.sameKeyRenewed])
    func aSessionOfAnotherChainIsNotResumed(_ version: TLSVersion, _ other: TestPair) throws {
        let keys = try TicketKeys()
        let token = try session(TestContexts(version: version, tickets: keys))
        let trust = TestPKI.authority.certificate + TestPKI.stranger.certificate
        #expect(try !resumes(TestContexts(other, version: version, tickets: keys, trust: trust), token))
        #expect(try resumes(TestContexts(version: version, tickets: keys, trust: trust), token))
    }

    @Test(arguments: TLSVersion.allCases)
    func previousKeyIsGoodAndAnOlderOneIsNot(_ version: TLSVersion) throws {
        let keys = try TicketKeys()
        let contexts = try TestContexts(version: version, tickets: keys)
        let token = try session(contexts)
        try keys.rotate()
        var pipe = try TestConnection(contexts, session: token)
        try pipe.run()
        #expect(pipe.server.isResumed == true)
        // The ticket of the old key was replaced by one of the new.
        let replacement = pipe.client.session
        let replaced = try #require(replacement)
        try keys.rotate()
        #expect(try !resumes(contexts, token))
        #expect(try resumes(contexts, replaced))
    }

    /// A client that uses each ticket once resumes for as long as it likes.
    @Test func eachResumptionGivesTheNextTicket() throws {
        let contexts = try TestContexts(TestPKI.rsa, version: .tls13)
        var token = try session(contexts)
        var seen: Set<[UInt8]> = [ticket(of: token)]
        for round in 1...5 {
            var pipe = try TestConnection(contexts, session: token, pausesBeforeSigning: true)
            try pipe.run()
            #expect(pipe.server.isResumed && pipe.client.isResumed && pipe.pauses == 0, "resumption \(round)")
            let next = pipe.client.session
            token = try #require(next)
            #expect(seen.insert(ticket(of: token)).inserted, "the ticket of resumption \(round) is a new one")
        }
    }

    /// In TLS 1.2 a ticket serves again and again, so a new one comes only when the old one's key is no longer current.
    @Test func anOldClientKeepsItsTicketUntilTheKeyAges() throws {
        let keys = try TicketKeys()
        let contexts = try TestContexts(version: .tls12, tickets: keys)
        let token = try session(contexts)
        var first = try TestConnection(contexts, session: token)
        try first.run()
        #expect(first.server.isResumed && first.client.session?.hasSameTicket(as: token) == true)
        try keys.rotate()
        var second = try TestConnection(contexts, session: token)
        try second.run()
        #expect(second.server.isResumed && second.client.session?.hasSameTicket(as: token) == false)
    }

    /// Two servers with one file, each with the other's tickets.
    @Test(arguments: TLSVersion.allCases)
    func serversThatShareAFileResumeEachOthersSessions(_ version: TLSVersion) throws {
        let file = try TicketKeyFile.generate(now: 1)
        let servers = try (0..<2).map { _ in
            let keys = try TicketKeys()
            try keys.share(file)
            #expect(keys.areShared)
            return try TestContexts(version: version, tickets: keys)
        }
        #expect(try resumes(servers[1], session(servers[0])))
        #expect(try resumes(servers[0], session(servers[1])))
        #expect(try !resumes(TestContexts(version: version, tickets: TicketKeys()), session(servers[0])))
    }

    /// Keys of a file change with the file, and not by our clock: other replicas would not know what we made instead.
    @Test func keysOfAFileAreNeverDue() throws {
        let keys = try TicketKeys()
        try keys.rotateIfDue(now: 1, every: .seconds(3_600))
        try keys.share(TicketKeyFile.generate(now: 1))
        let name = keys.sealingName
        for now in [1, 3_600, 3_601, 10 * 86_400] as [Int64] {
            #expect(!keys.isDue(now: now, every: 3_600))
            #expect(try !keys.rotateIfDue(now: now, every: .seconds(3_600)))
        }
        #expect(keys.sealingName == name && keys.areShared)
    }

    /// Behind the key's name comes the initialization vector, which is random for each ticket (RFC 5077 §4).
    @Test func noVectorIsUsedTwice() throws {
        let contexts = try TestContexts(version: .tls13)
        var seen: Set<[UInt8]> = []
        for _ in 0..<8 {
            let bytes = try ticket(of: session(contexts))
            #expect(bytes.count > 32)
            #expect(seen.insert(Array(bytes[16..<32])).inserted, "two tickets have one vector")
        }
    }

    /// One server has read the new file and the other has not yet: whichever of them a client comes from.
    @Test(arguments: TLSVersion.allCases)
    func aRotationIsNotSeenByClients(_ version: TLSVersion) throws {
        var file = try TicketKeyFile.generate(now: 1)
        let (early, late) = (try TicketKeys(), try TicketKeys())
        let (first, second) = try (
            TestContexts(version: version, tickets: early), TestContexts(version: version, tickets: late)
        )
        try early.share(file)
        try late.share(file)
        let old = try session(second)
        try file.rotate(now: 86_400)
        try early.share(file)
        #expect(early.sealingName != late.sealingName)
        #expect(try resumes(first, old) && resumes(first, session(second)), "sealed before the rotation")
        #expect(try resumes(second, session(first)), "sealed with what is the next key to the other")
        try file.rotate(now: 2 * 86_400)
        try early.share(file)
        #expect(try !resumes(first, old), "two rotations are the end of a key")
    }

    /// A ticket of the key before is replaced, one of the next key is not: it is the better one.
    @Test func onlyATicketThatGrowsOldIsReplaced() throws {
        var file = try TicketKeyFile.generate(now: 1)
        let keys = try TicketKeys()
        try keys.share(file)
        let contexts = try TestContexts(version: .tls12, tickets: keys)
        let token = try session(contexts)
        func isReplaced() throws -> Bool {
            var pipe = try TestConnection(contexts, session: token)
            try pipe.run()
            #expect(pipe.server.isResumed == true)
            return pipe.client.session?.hasSameTicket(as: token) == false
        }
        #expect(try !isReplaced())
        let today = file
        try file.rotate(now: 86_400)
        try keys.share(file)
        #expect(try isReplaced())
        // Sealed by a proxy that is ahead: the key that is the next one here.
        let ahead = try TicketKeys()
        try ahead.share(file)
        let newer = try session(TestContexts(version: .tls12, tickets: ahead))
        try keys.share(today)
        var pipe = try TestConnection(contexts, session: newer)
        try pipe.run()
        #expect(pipe.server.isResumed && pipe.client.session?.hasSameTicket(as: newer) == true)
    }

    @Test func sharedKeysChangeWithTheirFileAlone() throws {
        let keys = try TicketKeys()
        try keys.rotateIfDue(now: 0, every: .seconds(60))
        try keys.share(TicketKeyFile.generate(now: 1))
        let name = keys.sealingName
        #expect(try !keys.rotateIfDue(now: 1_000_000, every: .seconds(60)) && keys.sealingName == name)
        let contexts = try TestContexts(tickets: keys)
        let token = try session(contexts)
        try keys.rotate()
        #expect(!keys.areShared && keys.sealingName != name)
        #expect(try resumes(contexts, token), "what the file's key sealed is opened for a while")
    }

    @Test func aFileThatWasWipedIsRefused() throws {
        var file = try TicketKeyFile.generate(now: 1)
        file.wipe()
        #expect(throws: TLSError.self) { try TicketKeys().share(file) }
    }

    /// Another certificate comes, and the keys stay; the sessions of the old one end all the same.
    @Test func sharedKeysOutliveTheCertificate() throws {
        let credentials = try ServerCredentials(identity: TestPKI.leaf.identity())
        try credentials.ticketKeys.share(TicketKeyFile.generate(now: 1))
        let name = credentials.ticketKeys.sealingName
        try credentials.replace(with: TestPKI.rsa.identity())
        #expect(credentials.ticketKeys.areShared && credentials.ticketKeys.sealingName == name)
    }

    private func ticket(of session: TLSClientSession) -> [UInt8] {
        var bytes: UnsafePointer<UInt8>?
        var count = 0
        SSL_SESSION_get0_ticket(session.pointer, &bytes, &count)
        return Array(UnsafeBufferPointer(start: bytes, count: count))
    }

    @Test func rotatesByTheTimeGiven() throws {
        let keys = try TicketKeys()
        #expect(try !keys.rotateIfDue(now: 1_000, every: .seconds(60)))
        #expect(try !keys.rotateIfDue(now: 1_059, every: .seconds(60)))
        #expect(try keys.rotateIfDue(now: 1_060, every: .seconds(60)))
        #expect(try !keys.rotateIfDue(now: 1_119, every: .seconds(60)))
        #expect(try keys.rotateIfDue(now: .max, every: .seconds(60)))
        #expect(try keys.rotateIfDue(now: .min, every: .seconds(60)), "a clock that makes no sense does not trap")
    }

    /// Rotation by time changes what seals the next ticket: its first bytes are the key's name.
    @Test(arguments: TLSVersion.allCases)
    func ticketsAreSealedWithTheCurrentKey(_ version: TLSVersion) throws {
        let keys = try TicketKeys()
        let contexts = try TestContexts(version: version, tickets: keys)
        var names: [[UInt8]] = []
        for now: Int64 in [0, 59, 60, 119, 120] {
            try keys.rotateIfDue(now: now, every: .seconds(60))
            names.append(Array(ticket(of: try session(contexts)).prefix(TicketKey.nameSize)))
        }
        #expect(names[0] == names[1] && names[2] == names[3])
        #expect(Set(names).count == 3)
    }

    @Test func neverShowsItself() throws {
        let keys = try TicketKeys()
        let token = try session(TestContexts(tickets: keys))
        #expect("\(keys)" == "<redacted>" && "\(token)" == "<redacted>")
    }

    @Test(arguments: TLSVersion.allCases)
    func noTicketsNoSession(_ version: TLSVersion) throws {
        let server = try TLSServerContext(
            identity: TestPKI.leaf.identity(),
            options: TLSServerOptions(minVersion: version, maxVersion: version, sessionTickets: false))
        var client = try TLSEngine(client: TestContexts().client, serverName: "localhost")
        var engine = try TLSEngine(server: server)
        var toServer = ByteBuffer(), toClient = ByteBuffer(), plaintext = ByteBuffer()
        try client.start(output: &toServer)
        while !toServer.isEmpty || !toClient.isEmpty {
            _ = try engine.process(toServer.take(), plaintext: &plaintext, output: &toClient)
            _ = try client.process(toClient.take(), plaintext: &plaintext, output: &toServer)
        }
        #expect(client.isHandshakeComplete && engine.isHandshakeComplete && client.session == nil)
    }
}
