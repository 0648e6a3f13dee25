// docs/embedding.md
import TunnelPKI
import TunnelTLS

/// Makes a certificate and shakes hands with itself over two byte arrays: no socket anywhere.
func shakeHands(host: String, now: Int64) throws -> String? {
    let authority = try CertificateAuthority.generate(now: now)
    let made = try authority.issueServerIdentity(domain: host, keyType: .ecdsaP256, now: now)
    let identity = try TLSIdentity(certificates: made.certificate.pem, privateKey: made.key.pem)
    let serverContext = try TLSServerContext(identity: identity, options: TLSServerOptions(alpn: ["http/1.1"]))
    let trust = try TrustStore(pem: authority.certificate.pem)
    let clientContext = try TLSClientContext(trust: trust, options: TLSClientOptions(alpn: ["http/1.1"]))

    var server = try TLSStream(server: serverContext)
    var client = try TLSStream(client: clientContext, serverName: host)
    while !client.isHandshakeComplete || !server.isHandshakeComplete {
        try server.feed(client.takeOutput())
        try client.feed(server.takeOutput())
    }
    try client.send(Array("hello".utf8))
    try server.feed(client.takeOutput())
    return String(validating: try server.read(), as: UTF8.self)
}
// docs/embedding.md
