import Testing
import TunnelCore

@Suite struct FrameEncoderTests {
    /// What a role writes the other role reads back, at every length class.
    @Test(arguments: [WebSocketRole.client, .server], [0, 1, 125, 126, 127, 65_535, 65_536])
    func roundTrip(_ role: WebSocketRole, _ count: Int) {
        var encoder = FrameEncoder(role: role)
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        var buffer = ByteBuffer()
        encoder.append(.binary, isFinal: false, payload: payload.span, to: &buffer)
        encoder.append(.continuation, payload: payload.span, to: &buffer)
        let decoder = FrameDecoder(role: role == .client ? .server : .client)
        #expect(
            FrameRecorder.records(decoder, buffer.array)
                == [.message(payload + payload, .binary, isCompressed: false, isWhole: true)])
    }

    @Test func serverBytes() {
        var encoder = FrameEncoder(role: .server)
        var buffer = ByteBuffer()
        encoder.append(.text, isCompressed: true, payload: [0x61, 0x62].span, to: &buffer)
        encoder.append(.pong, payload: [UInt8]().span, to: &buffer)
        #expect(buffer.array == [0xC1, 0x02, 0x61, 0x62, 0x8A, 0x00])
    }

    static let closes: [(UInt16, [UInt8])] = [(1000, [0x88, 0x02, 0x03, 0xE8]), (4999, [0x88, 0x02, 0x13, 0x87])]
    @Test(arguments: closes) func close(_ code: UInt16, _ bytes: [UInt8]) {
        var encoder = FrameEncoder(role: .server)
        var buffer = ByteBuffer()
        encoder.appendClose(CloseCode(rawValue: code), to: &buffer)
        #expect(buffer.array == bytes)
    }

    @Test(arguments: [nil, CloseCode.noStatusReceived, .abnormalClosure, .tlsHandshake, .init(rawValue: 0)])
    func closeWithoutCode(_ code: CloseCode?) {
        var encoder = FrameEncoder(role: .server)
        var buffer = ByteBuffer()
        encoder.appendClose(code, reason: "unsaid", to: &buffer)
        #expect(buffer.array == [0x88, 0x00])
    }

    /// 123 bytes of reason fit; a character that does not fit whole is left out.
    @Test func closeReasonIsCutBetweenCharacters() {
        let cases: [(reason: String, kept: Int)] = [
            (String(repeating: "a", count: 123), 123), (String(repeating: "a", count: 124), 123),
            (String(repeating: "a", count: 122) + "é", 122), (String(repeating: "€", count: 50), 123),
        ]
        for (reason, kept) in cases {
            var encoder = FrameEncoder(role: .client)
            var buffer = ByteBuffer()
            encoder.appendClose(.goingAway, reason: reason, to: &buffer)
            #expect(
                FrameRecorder.records(FrameDecoder(role: .server), buffer.array)
                    == [.close(.goingAway, Array(reason.utf8.prefix(kept)))])
        }
    }
}
