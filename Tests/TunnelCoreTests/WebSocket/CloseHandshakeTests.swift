import Testing
import TunnelCore

@Suite struct CloseHandshakeTests {
    private enum Input { case close(CloseCode?), fail(CloseCode), received(CloseCode?) }

    /// What each input in turn makes the handshake do.
    private func actions(_ inputs: [Input], _ handshake: inout CloseHandshake) -> [CloseHandshake.Action?] {
        inputs.map {
            switch $0 {
            case .close(let code): handshake.close(code)
            case .fail(let code): handshake.fail(code)
            case .received(let code): handshake.receivedClose(code)
            }
        }
    }

    @Test func peerClosesFirst() {
        var handshake = CloseHandshake()
        #expect(handshake.isOpen && handshake.peerCode == nil)
        let actions = actions([.received(.goingAway), .received(.normal), .close(.normal)], &handshake)
        #expect(actions == [.sendCloseThenCloseTransport(.goingAway), nil, nil])
        #expect(handshake.isDone && handshake.peerCode == .goingAway)
        let isClean = handshake.transportClosed()
        #expect(isClean)
    }

    @Test func weCloseFirst() {
        var handshake = CloseHandshake()
        #expect(actions([.close(.normal), .close(.normal)], &handshake) == [.sendClose(.normal), nil])
        #expect(!handshake.isOpen && !handshake.isDone)
        #expect(actions([.received(nil)], &handshake) == [.closeTransport])
        #expect(handshake.isDone && handshake.peerCode == .noStatusReceived)
        let isClean = handshake.transportClosed()
        #expect(isClean)
    }

    @Test func answersACloseWithoutCodeInKind() {
        var handshake = CloseHandshake()
        #expect(actions([.received(nil)], &handshake) == [.sendCloseThenCloseTransport(nil)])
        #expect(handshake.peerCode == .noStatusReceived)
    }

    @Test func failing() {
        var fresh = CloseHandshake()
        let twice = actions([.fail(.protocolError), .fail(.protocolError)], &fresh)
        #expect(twice == [.sendCloseThenCloseTransport(.protocolError), nil] && fresh.isDone)
        // A second Close frame is never sent.
        var closing = CloseHandshake()
        #expect(actions([.close(.normal), .fail(.normal)], &closing) == [.sendClose(.normal), .closeTransport])
    }

    @Test func transportEndsWithoutClose() {
        var handshake = CloseHandshake()
        let isClean = handshake.transportClosed()
        #expect(!isClean && handshake.isDone && handshake.peerCode == .abnormalClosure)
        #expect(actions([.received(.normal), .close(.normal)], &handshake) == [nil, nil])
    }
}
