import COpenSSL
import Glibc
import Testing
import TunnelCore

@testable import TunnelTLS

/// A server's handshake that stops before it signs, for the caller to sign elsewhere.
@Suite struct SigningTests {
    @Test(arguments: [TestPKI.leaf, TestPKI.rsa], TLSVersion.allCases)
    func aFullHandshakePausesOnce(_ pair: TestPair, _ version: TLSVersion) throws {
        let contexts = try TestContexts(pair, version: version)
        for pieceSize in [1, 50, Int.max] {
            var pipe = try TestConnection(contexts, pausesBeforeSigning: true)
            try pipe.run(cut: pieceSize, pieceSize: pieceSize)
            #expect(pipe.pauses == 1)
            #expect(pipe.serverCompletions == 1 && pipe.clientCompletions == 1)
            #expect(pipe.server.version == version && !pipe.server.awaitsSignature)
            try pipe.client.write(pattern(100), output: &pipe.toServer)
            try pipe.run()
            #expect(pipe.atServer.take() == pattern(100))
        }
    }

    @Test(arguments: TLSVersion.allCases)
    func aResumedOneDoesNotPause(_ version: TLSVersion) throws {
        let contexts = try TestContexts(version: version)
        var first = try TestConnection(contexts, pausesBeforeSigning: true)
        try first.run()
        let session = first.client.session
        let token = try #require(session)
        var second = try TestConnection(contexts, session: token, pausesBeforeSigning: true)
        try second.run()
        #expect(second.server.isResumed && second.pauses == 0)

        // A ticket that cannot be opened is no resumption.
        let other = try TestContexts(version: version)
        var third = try TestConnection(other, session: token, pausesBeforeSigning: true)
        try third.run()
        #expect(!third.server.isResumed && third.pauses == 1)
    }

    @Test(arguments: TLSVersion.allCases)
    func onlyThoseThatAskPause(_ version: TLSVersion) throws {
        var pipe = try TestConnection(TestContexts(version: version))
        try pipe.run()
        #expect(pipe.server.isHandshakeComplete && pipe.pauses == 0)
    }

    /// The client's first key share is of a group that the server does not take, so two hellos come. The request for
    /// the second is not signed.
    @Test(arguments: [1, Int.max]) func aSecondHelloPausesOnce(_ pieceSize: Int) throws {
        let contexts = try TestContexts(TestPKI.rsa, version: .tls13)
        var pipe = try TestConnection(contexts, groups: "P-521:P-384", pausesBeforeSigning: true)
        try pipe.deliverToServer(cut: pieceSize, pieceSize: pieceSize)
        #expect(pipe.pauses == 0 && pipe.toClient.count > 0)
        try pipe.run(cut: pieceSize, pieceSize: pieceSize)
        #expect(pipe.pauses == 1 && pipe.serverCompletions == 1 && pipe.clientCompletions == 1)
    }

    /// While a signature is awaited nothing is taken, said or counted, however often it is asked.
    @Test(arguments: TLSVersion.allCases)
    func processingWhilePausedDoesNothing(_ version: TLSVersion) throws {
        var pipe = try TestConnection(TestContexts(version: version), pausesBeforeSigning: true)
        let hello = pipe.toServer.take()
        // The next byte after the hello belongs to a flight that cannot have been made yet; it has to wait all the same.
        let input = hello + [0x16]
        let first = try pipe.server.process(input, plaintext: &pipe.atServer, output: &pipe.toClient)
        #expect(first.awaitsSignature && first.consumed == hello.count && !first.handshakeCompleted)
        for size in [0, 1, TLSEngine.maxHandshakeBytes.fromClient + 1] {
            let progress = try pipe.server.process(
                [UInt8](repeating: 0x16, count: size), plaintext: &pipe.atServer, output: &pipe.toClient)
            #expect(progress.awaitsSignature && progress.consumed == 0 && !progress.isClosed)
        }
        #expect(throws: TLSError.self) { try pipe.server.write([1], output: &pipe.toClient) }
        pipe.server.close(output: &pipe.toClient)
        #expect(pipe.toClient.isEmpty == true)

        try pipe.server.sign(output: &pipe.toClient)
        let flight = pipe.toClient.count
        #expect(flight > 0 && !pipe.server.awaitsSignature)
        try pipe.server.sign(output: &pipe.toClient)
        #expect(pipe.toClient.count == flight, "there was nothing left to sign")
        try pipe.run()
        #expect(pipe.server.isHandshakeComplete && pipe.client.isHandshakeComplete && pipe.pauses == 0)
    }

    @Test(arguments: TLSVersion.allCases)
    func aPausedEngineMayBeDropped(_ version: TLSVersion) throws {
        let contexts = try TestContexts(version: version)
        for _ in 0..<20 {
            var pipe = try TestConnection(contexts, pausesBeforeSigning: true)
            let hello = pipe.toServer.take()
            let progress = try pipe.server.process(hello, plaintext: &pipe.atServer, output: &pipe.toClient)
            #expect(progress.awaitsSignature)
        }
        var ended = try TestConnection(contexts, pausesBeforeSigning: true)
        let hello = ended.toServer.take()
        _ = try ended.server.process(hello, plaintext: &ended.atServer, output: &ended.toClient)
        #expect(throws: TLSError.self) { try ended.server.endOfInput() }
        #expect(throws: TLSError.self) { try ended.server.sign(output: &ended.toClient) }
        #expect(ended.toClient.isEmpty == true)
        var other = try TestConnection(contexts)
        try other.run()
        #expect(other.server.isHandshakeComplete == true)
    }

    /// A failure of the signing step speaks for itself: its alert goes out, its reasons come from the thread's own queue
    /// and stay with neither thread.
    @Test func aFailureIsToldWhereItHappens() throws {
        let contexts = try TestContexts(version: .tls12)
        let box = Box(try TestConnection(contexts, ciphers: "ECDHE-RSA-AES128-GCM-SHA256", pausesBeforeSigning: true))
        try box.connection.deliverHello()
        onNewThreads(1) { _ in
            let error = #expect(throws: TLSError.self) { try box.connection.sign() }
            #expect(error?.reason == "no shared cipher" && error?.operation == "handshake")
            #expect(ERR_peek_error() == 0)
        }
        #expect(ERR_peek_error() == 0)
        let alert = #expect(throws: TLSError.self) { try box.connection.deliverToClient() }
        #expect(alert?.alert?.name == "handshake failure")
    }

    /// Four threads sign for connections that one thread reads and writes.
    @Test(arguments: [TestPKI.leaf, TestPKI.rsa], TLSVersion.allCases)
    func otherThreadsSign(_ pair: TestPair, _ version: TLSVersion) throws {
        let contexts = try TestContexts(pair, version: version)
        for _ in 0..<10 {
            let connections = try (0..<24).map { _ in
                let box = Box(try TestConnection(contexts, pausesBeforeSigning: true))
                try box.connection.deliverHello()
                return box
            }
            onNewThreads(4) { thread in
                for index in stride(from: thread, to: connections.count, by: 4) {
                    #expect(throws: Never.self) { try connections[index].connection.sign() }
                }
            }
            for box in connections {
                try box.connection.run()
                try box.connection.send(pattern(100))
                #expect(box.connection.atServer.take() == pattern(100))
                #expect(box.connection.serverCompletions == 1)
            }
        }
    }

    @Test func onlyQuickKeysSignOnTheLoop() throws {
        let rows: [(TestPair, Bool)] = [
            (TestPKI.leaf, false), (TestPKI.rsa, true), (TestPKI.signed("ed25519", "ed25519"), false),
            (TestPKI.signed("p384", "ec -pkeyopt ec_paramgen_curve:P-384"), true),
        ]
        for (pair, isExpensive) in rows {
            let context = try TLSServerContext(identity: pair.identity())
            #expect(context.isSigningExpensive == isExpensive, "\(pair)")
            #expect(context.identity.isSigningExpensive == isExpensive)
        }
    }
}

/// Carries a connection from thread to thread; the test sees to it that one at a time touches it.
private final class Box: @unchecked Sendable {
    var connection: TestConnection
    init(_ connection: consuming TestConnection) { self.connection = connection }
}

extension TestConnection {
    fileprivate mutating func send(_ bytes: [UInt8]) throws {
        try client.write(bytes, output: &toServer)
        try run()
    }

    fileprivate mutating func sign() throws { try server.sign(output: &toClient) }

    /// Gives the server the client's hello and nothing else; it must stop there.
    fileprivate mutating func deliverHello() throws {
        let hello = toServer.take()
        let progress = try server.process(hello, plaintext: &atServer, output: &toClient)
        #expect(progress.awaitsSignature && progress.consumed == hello.count && toClient.isEmpty)
    }
}

/// Runs `body` on each of `count` new threads at once, and waits for all.
private func onNewThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    final class Start {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    let threads = (0..<count).map { index in
        var thread = pthread_t()
        let start = Unmanaged.passRetained(Start { body(index) }).toOpaque()
        pthread_create(
            &thread, nil,
            { start in
                start.map { Unmanaged<Start>.fromOpaque($0).takeRetainedValue().run() }
                return nil
            }, start)
        return thread
    }
    for thread in threads { pthread_join(thread, nil) }
}
