import TunnelIO
import TunnelTLS
import TunnelTestSupport

/// An upstream that speaks TLS, with the certificate that most tests share, and says `hi` to each request.
final class SecureUpstream: Sendable {
    private let upstream: Upstream

    var port: UInt16 { upstream.port }
    var connections: Int { upstream.connections }

    init() throws {
        let pair = try TestIdentity.shared.get()
        let context = try TLSServerContext(
            identity: TLSIdentity(certificates: pair.certificate, privateKey: pair.key))
        upstream = try Upstream { connection, _ in
            guard var tls = try? TLSStream(server: context) else { return }
            var text = ""
            while let piece = connection.peer.receive(), !piece.isEmpty {
                guard (try? tls.feed(piece)) != nil else { break }
                text += String(decoding: (try? tls.read()) ?? [], as: UTF8.self)
                if text.hasSuffix("\r\n\r\n") {
                    text = ""
                    try? tls.send(Array(okay("hi").utf8))
                }
                connection.peer.send(tls.takeOutput())
            }
            connection.peer.send(tls.takeOutput())
        }
    }
}
