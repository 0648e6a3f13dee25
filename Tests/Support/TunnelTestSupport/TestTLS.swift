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

/// A TLS server on the blocking end of a connection.
package final class TLSPeer {
    package let peer: Peer
    private var stream: TLSStream

    /// Shakes hands.
    package init(_ peer: Peer) throws {
        stream = try TLSStream(server: TestTLS.server())
        self.peer = peer
        try shakeHands()
    }

    private func shakeHands() throws {
        while !stream.isHandshakeComplete { try take() }
    }

    package func send(_ text: String) throws {
        try stream.send(Array(text.utf8))
        peer.send(stream.takeOutput())
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

    package func close() {
        stream.close()
        peer.send(stream.takeOutput())
    }

    private func take() throws {
        guard let bytes = peer.receive(), !bytes.isEmpty else { throw TestError("peer gone") }
        defer { peer.send(stream.takeOutput()) }
        try stream.feed(bytes)
    }
}
