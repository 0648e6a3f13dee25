import Testing
import TunnelCore
import TunnelTLS
import TunnelTestSupport

@testable import TunnelProxy

/// A handshake whose signature is made elsewhere, with an RSA key, which takes long enough to be worth it.
@Suite struct TunnelTransportSigningTests {
    /// The bytes of records that are held while another thread signs.
    private static let maxHeld = 16 * 1024

    private func paused(_ version: TLSVersion) throws -> TransportPair {
        let pair = try TransportPair(version, TestIdentity.rsa.get(), pauses: true)
        try pair.client.start()
        return pair
    }

    @Test(arguments: TLSVersion.allCases) func theHandshakeWaitsForItsSignature(_ version: TLSVersion) throws {
        let pair = try paused(version)
        let context = try TransportPair.context(TestIdentity.rsa.get())
        #expect(context.isSigningExpensive)
        let hello = pair.client.said()
        #expect(!pair.server.awaitsSignature)
        pair.server.feed(Array(hello.dropLast()))
        #expect(!pair.server.awaitsSignature)
        pair.server.feed(Array(hello.suffix(1)))
        #expect(pair.server.awaitsSignature)
        // Nothing that shows that the hello was good before the signature is made.
        #expect(pair.server.said().isEmpty)

        let job = try #require(pair.server.takeJob())
        #expect(!pair.server.awaitsSignature && pair.server.takeJob() == nil)
        // Pings are answered meanwhile, and there is no engine to ask for facts.
        var encoder = FrameEncoder(role: .client)
        pair.server.feed(encoder.frame(Array("p".utf8), .ping))
        #expect(WireFrame.all(pair.server.said()).map(\.name) == ["pong p"])
        #expect(pair.server.tlsVersion.isEmpty && !pair.server.isResumed)
        pair.server.write("too early")
        #expect(pair.server.said().isEmpty)

        job.run()
        pair.server.back(job)
        #expect(!pair.server.awaitsSignature && !pair.server.isHandshakeComplete)
        pair.exchange()
        #expect(pair.isOpen && pair.server.tlsVersion == version.rawValue)
        pair.client.write("hello")
        pair.exchange()
        #expect(pair.server.readText() == "hello")
    }

    /// What comes meanwhile is kept up to a bound, one byte more ends the tunnel.
    @Test(arguments: [0, 1, 1_000, maxHeld, maxHeld + 1]) func whatComesMeanwhileIsHeld(_ count: Int) throws {
        let pair = try paused(.tls13)
        pair.server.feed(pair.client.said())
        let job = try #require(pair.server.takeJob())
        var encoder = FrameEncoder(role: .client)
        // In two frames, so that the second meets what the first has left.
        pair.server.feed(encoder.frame([UInt8](repeating: 0x16, count: count / 2)))
        pair.server.feed(encoder.frame([UInt8](repeating: 0x16, count: count - count / 2)))
        let isTooMuch = count > TunnelTransportSigningTests.maxHeld
        #expect(WireFrame.all(pair.server.said()).map(\.name) == (isTooMuch ? ["close 1008"] : []))
        job.run()
        pair.server.back(job)
        let frames = WireFrame.all(pair.server.said()).map(\.name)
        switch count {
        case 0: #expect(frames == ["binary"] && pair.server.end == nil)
        // Our flight, and nothing yet: it is the start of a record.
        case 1: #expect(frames == ["binary"] && pair.server.end == nil)
        case TunnelTransportSigningTests.maxHeld + 1: #expect(frames == [])
        // It is given to TLS, which finds that it is no record.
        default: #expect(frames == ["binary", "binary", "close 1000"])
        }
    }

    /// Also what comes with the hello, in its frame or in the same read: it is not lost, and comes to TLS behind the
    /// signature.
    @Test(arguments: [true, false], [true, false]) func whatComesWithTheHelloIsHeld(
        _ isGood: Bool, _ isInTheSameFrame: Bool
    ) throws {
        let pair = try paused(.tls13)
        let hello = WireFrame.all(pair.client.said()).flatMap(\.payload)
        // The change of ciphers that means nothing in TLS 1.3 (RFC 8446 §D.4); then a record that cannot be.
        let early: [UInt8] = isGood ? [0x14, 3, 3, 0, 1, 1] : [0x17, 3, 3, 0, 1, 1]
        var encoder = FrameEncoder(role: .client)
        pair.server.feed(
            isInTheSameFrame ? encoder.frame(hello + early) : encoder.frame(hello) + encoder.frame(early))
        try pair.server.sign()
        let frames = WireFrame.all(pair.server.said()).map(\.name)
        #expect(frames == (isGood ? ["binary"] : ["binary", "binary", "close 1000"]))
    }

    @Test func aFailureInSigningEndsTheHandshake() throws {
        let pair = try paused(.tls13)
        pair.server.feed(pair.client.said())
        let failure = #expect(throws: TLSError.self) {
            _ = try TLSEngine(client: TestIdentity.client(), serverName: "*")
        }
        try pair.server.sign(failure: failure)
        #expect(WireFrame.all(pair.server.said()).map(\.name) == ["close 1000"])
        #expect(pair.server.handshakeError != nil)
        guard case .failed = pair.server.end else {
            Issue.record("ended as \(String(describing: pair.server.end))")
            return
        }
    }

    /// The tunnel may be over when the signature comes, for any reason.
    @Test(arguments: [0, 1, 2]) func aSignatureForNobodyIsDropped(_ way: Int) throws {
        let pair = try paused(.tls13)
        pair.server.feed(pair.client.said())
        let job = try #require(pair.server.takeJob())
        switch way {
        case 0: pair.server.endInput()
        case 1: pair.server.close(.goingAway)
        default: pair.server.finish(.stalled)
        }
        let end = pair.server.end
        #expect(WireFrame.all(pair.server.said()).map(\.name) == (way == 1 ? ["close 1001"] : []))
        job.run()
        pair.server.back(job)
        #expect(pair.server.said().isEmpty)
        #expect(pair.server.end == end && !pair.server.isHandshakeComplete)
    }

    /// A key whose signature is cheap does not make anybody wait.
    @Test func withoutAPauseThereIsNothingToSign() throws {
        let pair = try TransportPair(.tls13, TestIdentity.rsa.get())
        try pair.client.start()
        pair.server.feed(pair.client.said())
        #expect(!pair.server.awaitsSignature && pair.server.takeJob() == nil)
        pair.exchange()
        #expect(pair.isOpen)
        let cheap = try TransportPair.context(TestIdentity.shared.get())
        #expect(!cheap.isSigningExpensive)
    }
}
