import TunnelCore

/// One side of a connection in one protocol: bytes and time in, bytes out.
protocol Speaker: AnyObject {
    func receive(_ bytes: ArraySlice<UInt8>, now: UInt64)
    func takeOutput() -> [UInt8]
    /// Nothing is left to do but to send the output and to close.
    var isFinished: Bool { get }
    /// When `expire` is due.
    var deadline: UInt64? { get }
    func expire(now: UInt64)
}

extension Speaker {
    var deadline: UInt64? { nil }
    func expire(now: UInt64) {}
}

/// Finds out by the first bytes what the client speaks: HTTP/2 (RFC 9113 §3.4), or HTTP/1.1, which may become a WebSocket.
final class Conversation: Speaker {
    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    private var speaker: (any Speaker)?
    private var early: [UInt8] = []

    func receive(_ bytes: ArraySlice<UInt8>, now: UInt64) {
        if let speaker { return speaker.receive(bytes, now: now) }
        early += bytes
        let known = early.prefix(Self.preface.count)
        guard known.elementsEqual(Self.preface.prefix(known.count)) else { return speak(HTTP1Server(), now) }
        if known.count == Self.preface.count { speak(HTTP2Server(now: now), now) }
    }

    private func speak(_ speaker: any Speaker, _ now: UInt64) {
        self.speaker = speaker
        speaker.receive(early[...], now: now)
        early = []
    }

    func takeOutput() -> [UInt8] { speaker?.takeOutput() ?? [] }
    var isFinished: Bool { speaker?.isFinished ?? false }
    var deadline: UInt64? { speaker?.deadline }
    func expire(now: UInt64) { speaker?.expire(now: now) }
}
