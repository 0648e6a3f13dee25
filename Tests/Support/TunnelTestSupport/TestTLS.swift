internal import Glibc
internal import TunnelCore
package import TunnelTLS

/// A self-signed certificate for `localhost`, made once per run with the openssl command, and what trusts it.
package enum TestTLS {
    private static let pair: (certificate: [UInt8], key: [UInt8]) = {
        let path = temporaryPath()
        let command =
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
            + " -addext subjectAltName=DNS:localhost -keyout \(path).key -out \(path).crt 2>/dev/null"
        guard let pipe = popen(command, "r") else { return ([], []) }
        pclose(pipe)
        defer {
            unlink("\(path).key")
            unlink("\(path).crt")
        }
        return (read("\(path).crt"), read("\(path).key"))
    }()

    package static func server() throws -> TLSServerContext {
        try TLSServerContext(identity: TLSIdentity(certificates: pair.certificate, privateKey: pair.key))
    }

    package static func client() throws -> TLSClientContext {
        try TLSClientContext(trust: TrustStore(pem: pair.certificate))
    }

    private static func read(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes[..<count])
    }
}

/// A TLS server on the blocking end of a connection, or inside another one's session.
package final class TLSPeer {
    package let peer: Peer
    /// Whose session this one is inside of.
    private let outer: TLSPeer?
    private var stream: TLSStream

    /// Shakes hands.
    package init(_ peer: Peer) throws {
        stream = try TLSStream(server: TestTLS.server())
        (self.peer, outer) = (peer, nil)
        try shakeHands()
    }

    /// Shakes hands inside a session.
    package init(inside outer: TLSPeer) throws {
        stream = try TLSStream(server: TestTLS.server())
        (peer, self.outer) = (outer.peer, outer)
        try shakeHands()
    }

    private func shakeHands() throws {
        while !stream.isHandshakeComplete { try take() }
    }

    package func send(_ text: String) throws { try send(Array(text.utf8)) }

    private func send(_ bytes: [UInt8]) throws {
        try stream.send(bytes)
        try sendOutput()
    }

    private func sendOutput() throws {
        let output = stream.takeOutput()
        if let outer, !output.isEmpty { try outer.send(output) } else { peer.send(output) }
    }

    /// Waits for that many bytes of plaintext, or the end.
    package func receive(exactly count: Int) throws -> String {
        var bytes: [UInt8] = []
        while bytes.count < count && !stream.isAtEnd {
            bytes += try stream.read(atMost: count - bytes.count)
            if bytes.count < count { try take() }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Whether the client ends the session in order (close_notify), after whatever came before.
    package func isEnded() -> Bool {
        do {
            while !(try receiveAny().isEmpty) {}
        } catch { return false }
        return true
    }

    package func close() {
        stream.close()
        try? sendOutput()
    }

    private func take() throws {
        let bytes = try outer?.receiveAny() ?? peer.receive()
        guard let bytes, !bytes.isEmpty else { throw TestError("peer gone") }
        // An alert, if it throws.
        defer { try? sendOutput() }
        try stream.feed(bytes)
    }

    /// Waits for some plaintext; none at the end.
    private func receiveAny() throws -> [UInt8] {
        while !stream.isReadable && !stream.isAtEnd { try take() }
        return try stream.read()
    }
}
