import TunnelTestSupport
import Testing
import TunnelCore
import TunnelIO
import TunnelTLS

/// TLS inside another stream. What goes on inside a proxy's TLS is in `HTTPCallSecureProxyTests`.
@Suite struct TLSByteStreamTests {
    private static let second: UInt64 = 1_000_000_000

    /// Runs `body` with the client's half, and `server` on the other end.
    private func session<R: Sendable>(
        serverName: String = "localhost", timeout: UInt64 = 10 * second,
        server: @escaping @Sendable (Peer) throws -> Void,
        _ body: @escaping @Sendable (TLSByteStream, isolated Loop) async throws -> R
    ) throws -> R {
        let (descriptor, peer) = try socketPair()
        let other = OnThread { () -> Bool in (try? server(peer)) != nil }
        let result = try onLoop { loop in
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            defer { socket.close(IOError(.closed, "test")) }
            let stream = try TLSByteStream(over: socket, client: TestTLS.client(), serverName: serverName)
            try await stream.shakeHands(timeout: timeout, on: loop.reactor)
            return try await body(stream, loop)
        }
        #expect(other.value() == true)
        return result
    }

    private static func read(_ stream: TLSByteStream, limit: Int = 4096) async throws(IOError) -> String {
        var text = ""
        var buffer = ByteBuffer()
        while true {
            switch try stream.receive(into: &buffer, limit: limit) {
            case .bytes:
                text += String(decoding: buffer.array, as: UTF8.self)
                buffer.removeAll()
            case .nothing: await stream.readable()
            case .end: return text
            }
        }
    }

    @Test(arguments: [1, 100, 4096, 70_000]) func bytesGoBothWaysWithinTheLimit(_ limit: Int) throws {
        let sent = String(repeating: "a", count: 50_000)
        let text = try session(
            server: { peer in
                let tls = try TLSPeer(peer)
                try tls.send(tls.receive(exactly: sent.utf8.count))
                tls.close()
            },
            { stream, _ in
                var bytes = ByteBuffer()
                bytes.append(sent)
                _ = stream.send(&bytes)
                try await stream.flush()
                let text = try await Self.read(stream, limit: limit)
                #expect(stream.ended == .orderly && stream.carrierFailure == nil)
                return text
            })
        #expect(text == sent)
    }

    @Test func ourEndIsACloseNotify() throws {
        try session(
            server: { peer in
                let tls = try TLSPeer(peer)
                guard tls.isEnded() else { throw TestError("no close_notify") }
                tls.close()
            },
            { stream, _ in
                stream.close()
                let text = try await Self.read(stream)
                #expect(text == "")
            })
    }

    /// RFC 8446 §6.1: without close_notify the data may have been cut short.
    @Test func anEndOfTheCarrierIsNotOneOfTheSession() throws {
        let (code, isTheCarriers) = try session(
            server: { peer in
                try TLSPeer(peer).send("part")
                peer.shutDown()
            },
            { stream, _ in
                do throws(IOError) { _ = try await Self.read(stream) } catch {
                    return (error.code, stream.carrierFailure == error)
                }
                return (IOError.Code.closed, false)
            })
        #expect(code == .endOfStream && isTheCarriers)
    }

    /// What is broken inside is no failure of the carrier, and nothing can be written behind it.
    @Test func aBrokenRecordIsTheSessions() throws {
        let codes = try session(
            server: { peer in
                _ = try TLSPeer(peer)
                peer.send([23, 3, 3, 0, 20] + [UInt8](repeating: 7, count: 20))
                _ = peer.isAtEnd()
            },
            { stream, _ in
                var codes: [IOError.Code] = []
                do throws(IOError) { _ = try await Self.read(stream) } catch { codes.append(error.code) }
                #expect(stream.carrierFailure == nil)
                var bytes = ByteBuffer()
                bytes.append("more")
                #expect(stream.send(&bytes) == .room)
                do throws(IOError) { try await stream.flush() } catch { codes.append(error.code) }
                return codes
            })
        #expect(codes == [.tls, .tls])
    }

    @Test func anotherNameIsRefused() throws {
        let error = #expect(throws: IOError.self) {
            try session(serverName: "other.example", server: { peer in _ = try? TLSPeer(peer) }, { _, _ in })
        }
        #expect(error?.code == .tls)
    }

    @Test func aNameThatIsNoneIsRefused() throws {
        let error = #expect(throws: IOError.self) {
            try session(serverName: "*.example", server: { _ in }, { _, _ in })
        }
        #expect(error?.code == .tls)
    }

    @Test func aSilentServerIsATimeOut() throws {
        let error = #expect(throws: IOError.self) {
            try session(timeout: 1_000_000, server: { peer in _ = peer.isAtEnd() }, { _, _ in })
        }
        #expect(error?.code == .timedOut)
    }
}
