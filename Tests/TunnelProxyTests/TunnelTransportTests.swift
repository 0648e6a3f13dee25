import Testing
import TunnelCore
import TunnelTLS
import TunnelTestSupport

@testable import TunnelProxy

/// Two ends of a tunnel against each other, with arrays of bytes between them.
@Suite struct TunnelTransportTests {
    // MARK: Splits

    @Test(arguments: TLSVersion.allCases) func aHandshakeInAnySplit(_ version: TLSVersion) throws {
        var (cut, longest) = (0, 1)
        while cut < longest {
            let pair = try TransportPair(version)
            try pair.client.start()
            longest = max(longest, pair.exchange(cutAt: cut))
            #expect(pair.isOpen, "cut at \(cut)")
            #expect(pair.server.tlsVersion == version.rawValue)
            pair.client.write("hello")
            pair.exchange(cutAt: cut)
            #expect(pair.server.readText() == "hello", "cut at \(cut)")
            cut += 1
        }
    }

    @Test(arguments: TLSVersion.allCases) func aByteAtATime(_ version: TLSVersion) throws {
        let pair = try TransportPair(version)
        try pair.client.start()
        pair.client.ping()
        var isSilent = false
        while !isSilent {
            let (up, down) = (pair.client.said(), pair.server.said())
            for byte in up { pair.server.feed([byte]) }
            for byte in down { pair.client.feed([byte]) }
            isSilent = up.isEmpty && down.isEmpty
        }
        #expect(pair.isOpen)
        #expect(pair.client.applicationProtocol == "http/1.1")
        #expect(pair.client.cipher == pair.server.cipher && !pair.server.cipher.isEmpty)
    }

    /// Data and pings, both ways, on one tunnel that never ends.
    @Test(arguments: TLSVersion.allCases) func dataInAnySplit(_ version: TLSVersion) throws {
        let pair = try TransportPair.open(version)
        var (cut, longest) = (0, 1)
        while cut < longest {
            pair.client.write("up")
            pair.client.ping()
            pair.client.write("ward")
            pair.server.ping()
            pair.server.write("down")
            longest = max(longest, pair.exchange(cutAt: cut))
            #expect(pair.server.readText() == "upward" && pair.client.readText() == "down", "cut at \(cut)")
            cut += 1
        }
        #expect(cut > 50 && pair.isOpen && pair.client.end == nil && pair.server.end == nil)
    }

    @Test(arguments: TLSVersion.allCases, [true, false]) func aCloseInAnySplit(
        _ version: TLSVersion, _ isTheClients: Bool
    ) throws {
        var (cut, longest) = (0, 1)
        while cut < longest {
            let pair = try TransportPair.open(version)
            let (first, second) = isTheClients ? (pair.client, pair.server) : (pair.server, pair.client)
            first.write("last words")
            first.close(.goingAway)
            longest = max(longest, pair.exchange(cutAt: cut))
            #expect(second.readText() == "last words", "cut at \(cut)")
            #expect(second.end == .closed && first.end == .closed, "cut at \(cut)")
            #expect(first.peerCloseCode == .goingAway && second.peerCloseCode == .goingAway)
            cut += 1
        }
    }

    // MARK: Ends

    enum Said: CaseIterable { case notify, close, fin }

    /// Every order in which a peer can say some of its three ends.
    static let orders: [[Said]] =
        [[]]
        + Said.allCases.flatMap { first in
            [[first]]
                + Said.allCases.filter { $0 != first }.flatMap { second in
                    [[first, second]]
                        + Said.allCases.filter { $0 != first && $0 != second }.map { [first, second, $0] }
                }
        }

    /// An orderly end is one that was said before the bytes ended. Whatever comes behind it changes nothing.
    @Test(arguments: orders, [true, false]) func ends(_ order: [Said], _ isTheServers: Bool) throws {
        for ownEnd in [nil, 0, 1, 2, 3].filter({ $0 ?? 0 <= order.count }) {
            let pair = try TransportPair.open()
            let (end, peer) = isTheServers ? (pair.server, pair.client) : (pair.client, pair.server)
            peer.close(.goingAway)
            let frames = WireFrame.all(peer.said())
            #expect(frames.map(\.name) == ["binary", "close 1001"])
            var said: [UInt8] = []
            for (index, event) in order.enumerated() {
                if ownEnd == index { end.close(.normal) }
                switch event {
                case .notify: end.feed(frames[0].bytes)
                case .close: end.feed(frames[1].bytes)
                case .fin: end.endInput()
                }
                said += end.said()
                if event == .fin { break }
            }
            let fin = order.firstIndex(of: .fin) ?? order.count
            if ownEnd == order.count, fin == order.count { end.close(.normal) }
            said += end.said()
            let comment: Comment = "\(order), ours at \(String(describing: ownEnd))"

            let heard = order.prefix(fin)
            let hasClosed = heard.contains(.close)
            let ours = ownEnd.map { $0 <= fin && !(fin < order.count && $0 > fin) } ?? false
            // Whether we had said the end before theirs came.
            let isOursFirst = ours && (ownEnd ?? 0) <= (order.firstIndex(of: .close) ?? .max)
            if hasClosed {
                #expect(end.end == .closed, comment)
                #expect(end.peerCloseCode == .goingAway, comment)
            } else if fin < order.count {
                #expect(end.end == (heard.contains(.notify) || ours ? .closed : .lost), comment)
            } else if heard.contains(.notify), !ours || (ownEnd ?? 0) > 0 {
                #expect(end.end == .closed, comment)
            } else {
                #expect(end.end == nil, comment)
            }
            // One Close frame of ours at most, with TLS's word before it, and our own code where we spoke first.
            let expected = ours || hasClosed ? ["binary", isOursFirst ? "close 1000" : "close 1001"] : []
            #expect(WireFrame.all(said).map(\.name) == expected, comment)
        }
    }

    /// Input that ends anywhere is a loss, and nothing is made up for what did not come.
    @Test(arguments: TLSVersion.allCases) func lostInputAtAnyPoint(_ version: TLSVersion) throws {
        let sample = try TransportPair.open(version)
        sample.client.write("hello")
        let count = sample.client.said().count
        for cut in 0...count {
            let pair = try TransportPair.open(version)
            pair.client.write("hello")
            pair.server.feed(Array(pair.client.said().prefix(cut)))
            pair.server.endInput()
            #expect(pair.server.end == .lost)
            #expect(pair.server.readText() == (cut == count ? "hello" : ""))
        }
        // In the handshake, on either side.
        let first = try TransportPair(version)
        try first.client.start()
        let hello = first.client.said()
        for cut in 0...hello.count {
            let pair = try TransportPair(version)
            pair.server.feed(Array(hello.prefix(cut)))
            pair.server.endInput()
            #expect(pair.server.end == .lost && !pair.server.isHandshakeComplete)
            #expect(pair.server.isHandshakeBegun == (cut > 8), "cut at \(cut)")
        }
    }

    /// A response that broke off must not look whole: an abort says no close_notify.
    @Test func anAbortIsNoOrderlyEndOfTLS() throws {
        let pair = try TransportPair.open()
        pair.server.write("half")
        pair.server.abort(.goingAway)
        #expect(WireFrame.all(pair.server.said()).map(\.name) == ["binary", "close 1001"])
        #expect(!pair.server.isOpen)
    }

    @Test func afterTheEndNothingIsSaid() throws {
        for way in 0..<4 {
            let pair = try TransportPair.open()
            pair.client.close()
            switch way {
            case 0: pair.server.feed(pair.client.said())
            case 1: pair.server.endInput()
            case 2: pair.server.close()
            default: pair.server.finish(.stalled)
            }
            _ = pair.server.said()
            pair.server.write("more")
            #expect(pair.server.said().isEmpty, "way \(way)")
            if way == 3 { continue }
            pair.server.ping()
            pair.server.close(.goingAway)
            pair.server.abort(.goingAway)
            #expect(pair.server.said().isEmpty, "way \(way)")
        }
        // Before the handshake there is nothing to encrypt with.
        let early = try TransportPair()
        early.server.write("early")
        #expect(early.server.said().isEmpty)
    }

    @Test func aReasonStaysButForALoss() throws {
        let pair = try TransportPair.open()
        pair.server.finish(.idle)
        pair.server.finish(.ended)
        #expect(pair.server.end == .idle)
        pair.server.finish(.lost)
        #expect(pair.server.end == .lost)
    }

    @Test func garbageInsteadOfTLSGivesAnAlertAndACloseFrame() throws {
        let pair = try TransportPair()
        var encoder = FrameEncoder(role: .client)
        // A record of a handshake that holds no message there is.
        pair.server.feed(encoder.frame([0x16, 3, 1, 0, 4, 0x63, 0, 0, 0]))
        let frames = WireFrame.all(pair.server.said())
        #expect(frames.map(\.name) == ["binary", "close 1000"])
        // An alert (21) of TLS, fatal (2).
        #expect(frames.first?.payload.first == 21 && frames.first?.payload.dropFirst(5).first == 2)
        #expect(pair.server.handshakeError != nil)
        guard case .failed = pair.server.end else {
            Issue.record("ended as \(String(describing: pair.server.end))")
            return
        }
    }

    /// Where not even a record can be made out, there is no alert to send.
    @Test func noTLSAtAllGivesACloseFrame() throws {
        let pair = try TransportPair()
        var encoder = FrameEncoder(role: .client)
        pair.server.feed(encoder.frame(Array("GET / HTTP/1.1\r\n\r\n".utf8)))
        #expect(WireFrame.all(pair.server.said()).map(\.name) == ["close 1000"])
        #expect(pair.server.handshakeError != nil && pair.server.end != nil)
    }

    /// After a handshake a broken record is no failure of the handshake.
    @Test func garbageBehindAHandshakeIsAFailureOfItsOwn() throws {
        let pair = try TransportPair.open()
        var encoder = FrameEncoder(role: .client)
        pair.server.feed(encoder.frame([0x17, 3, 3, 0, 20] + [UInt8](repeating: 0, count: 20)))
        #expect(WireFrame.all(pair.server.said()).map(\.name) == ["binary", "close 1000"])
        #expect(pair.server.handshakeError == nil && pair.server.end != nil)
    }

    @Test func aSessionIsResumed() throws {
        let context = try TransportPair.context(TestIdentity.shared.get())
        let first = try TransportPair(context: context)
        try first.client.start()
        first.exchange()
        #expect(!first.server.isResumed)
        #expect(first.client.peerFingerprint == context.identity.fingerprint)
        let session = first.client.session
        let second = try TransportPair(session: session, context: context)
        try second.client.start()
        second.exchange()
        #expect(second.isOpen && second.server.isResumed && second.client.isResumed)
    }
}
