package import TunnelTLS

/// What a far side brings to the handshake inside the tunnel, and what came of it.
extension FarSide {
    /// The CAs that a proxy's certificate must lead to, read once for any number of connections.
    package struct Trust: Sendable {
        let context: TLSClientContext

        /// - Parameters:
        ///   - authority: certificates in PEM.
        ///   - protocols: what the proxy may choose from, the favourite first.
        /// - Throws: ``TLSError`` when there is none.
        package init(authority: [UInt8], offering protocols: [ApplicationProtocol] = [.http1]) throws(TLSError) {
            let options = TLSClientOptions(alpn: protocols.map(\.rawValue))
            context = try TLSClientContext(trust: try TrustStore(pem: authority), options: options)
        }
    }

    /// What lets another connection resume the session of this one.
    package struct Resumption: Sendable {
        let session: TLSClientSession
    }

    /// What was agreed on, once the handshake is complete.
    package struct TLSFacts: Sendable {
        /// For example `TLS 1.3`.
        package let version: String
        package let cipher: String
        /// Of the key exchange, for example `x25519`; `nil` where there was none, as in a session resumed by TLS 1.2.
        package let group: String?
        package let applicationProtocol: String?
        package let isResumed: Bool
        /// In DER, the proxy's own certificate first.
        package let chain: [[UInt8]]
    }

    package var tlsFacts: TLSFacts? {
        guard facts({ $0.isHandshakeComplete }) == true else { return nil }
        return facts {
            TLSFacts(
                version: $0.tlsVersion, cipher: $0.cipher, group: $0.tlsGroup,
                applicationProtocol: $0.applicationProtocol, isResumed: $0.isResumed, chain: $0.peerChain)
        }
    }

    /// Once the proxy's ticket has come, which is not before the first response.
    package var resumption: Resumption? { (facts { $0.session } ?? nil).map { Resumption(session: $0) } }
}
