import COpenSSL
import TunnelCore

@testable import TunnelTLS

/// A client and a server joined in memory; the bytes between them arrive in pieces of `pieceSize`.
struct TestConnection: ~Copyable {
    var client: TLSEngine
    var server: TLSEngine
    /// Bytes on their way, in order.
    var toServer: ByteBuffer
    var toClient = ByteBuffer()
    /// What came out and was not read.
    var atServer = ByteBuffer()
    var atClient = ByteBuffer()
    var serverCompletions = 0
    var clientCompletions = 0
    /// How often the server waited for `sign`, which `deliverToServer` then calls.
    var pauses = 0

    /// - Parameter groups: the client's groups in OpenSSL's words, the one it sends a key share of first.
    /// - Parameter ciphers: the client's suites for TLS 1.2.
    init(
        _ contexts: TestContexts, serverName: String = "localhost", session: TLSClientSession? = nil,
        groups: String? = nil, ciphers: String? = nil, pausesBeforeSigning: Bool = false
    ) throws {
        let server = try TLSEngine(server: contexts.server, pausesBeforeSigning: pausesBeforeSigning)
        var client = try TLSEngine(client: contexts.client, serverName: serverName, session: session)
        groups?.withCString { list in
            _ = SSL_ctrl(client.ssl, SSL_CTRL_SET_GROUPS_LIST, 0, UnsafeMutableRawPointer(mutating: list))
        }
        if let ciphers { SSL_set_cipher_list(client.ssl, ciphers) }
        var toServer = ByteBuffer()
        try client.start(output: &toServer)
        self.server = server
        self.client = client
        self.toServer = toServer
    }

    /// Moves bytes until none are left or an end throws. The first piece of every flight is `cut` bytes, the others
    /// are `pieceSize`.
    mutating func run(cut: Int = .max, pieceSize: Int = .max, limit: Int = 1 << 30) throws(TLSError) {
        while !toServer.isEmpty || !toClient.isEmpty {
            try deliverToServer(cut: cut, pieceSize: pieceSize, limit: limit)
            try deliverToClient(cut: cut, pieceSize: pieceSize, limit: limit)
        }
    }

    mutating func deliverToServer(cut: Int = .max, pieceSize: Int = .max, limit: Int = 1 << 30) throws(TLSError) {
        for piece in toServer.takePieces(first: cut, others: pieceSize) {
            var progress = try server.process(piece, plaintext: &atServer, limit: limit, output: &toClient)
            if progress.awaitsSignature {
                pauses += 1
                try server.sign(output: &toClient)
                let rest = Array(piece[progress.consumed...])
                progress = try server.process(rest, plaintext: &atServer, limit: limit, output: &toClient)
            }
            if progress.handshakeCompleted { serverCompletions += 1 }
        }
    }

    mutating func deliverToClient(cut: Int = .max, pieceSize: Int = .max, limit: Int = 1 << 30) throws(TLSError) {
        for piece in toClient.takePieces(first: cut, others: pieceSize) {
            let progress = try client.process(piece, plaintext: &atClient, limit: limit, output: &toServer)
            if progress.handshakeCompleted { clientCompletions += 1 }
        }
    }
}

extension ByteBuffer {
    /// Everything in the buffer, which is empty then, cut up.
    mutating func takePieces(first: Int, others: Int) -> [[UInt8]] {
        let bytes = array
        removeAll()
        var pieces: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            let size = min(bytes.count - start, start == 0 ? first : others)
            pieces.append(Array(bytes[start..<start + size]))
            start += size
        }
        return pieces
    }

    mutating func take() -> [UInt8] {
        defer { removeAll() }
        return array
    }
}

extension TLSEngine {
    mutating func process(
        _ input: [UInt8], plaintext: inout ByteBuffer, limit: Int = 1 << 30, output: inout ByteBuffer
    ) throws(TLSError) -> Progress {
        try process(input.span, plaintext: &plaintext, plaintextLimit: limit, output: &output)
    }

    mutating func write(_ plaintext: [UInt8], output: inout ByteBuffer) throws(TLSError) {
        try write(plaintext.span, output: &output)
    }
}

/// Both halves, ready to connect any number of times.
struct TestContexts: Sendable {
    let server: TLSServerContext
    let client: TLSClientContext

    /// A server made elsewhere, and a client that trusts the authority.
    init(server: TLSServerContext) throws {
        self.server = server
        client = try TLSClientContext(trust: TrustStore(pem: TestPKI.authority.certificate))
    }

    init(
        _ pair: TestPair = TestPKI.leaf, version: TLSVersion? = nil, serverALPN: [String] = [],
        clientALPN: [String] = [], tickets: TicketKeys? = nil, trust: [UInt8] = TestPKI.authority.certificate
    ) throws {
        let versions = version.map { ($0, $0) } ?? (.tls12, .tls13)
        server = try TLSServerContext(
            identity: pair.identity(),
            options: TLSServerOptions(minVersion: versions.0, maxVersion: versions.1, alpn: serverALPN),
            ticketKeys: tickets)
        client = try TLSClientContext(
            trust: TrustStore(pem: trust), options: TLSClientOptions(alpn: clientALPN))
    }
}

/// Bytes without a period that a mistake in order would keep.
func pattern(_ count: Int) -> [UInt8] {
    var state: UInt32 = 1
    return (0..<count).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return UInt8(truncatingIfNeeded: state >> 24)
    }
}
