internal import COpenSSL

extension TLSEngine {
    /// Offers these protocols by ALPN (RFC 7301), the preferred one first, in place of the context's. Before `start`.
    ///
    /// - Throws: for a name that is not 1 to 255 bytes.
    package mutating func offer(_ protocols: [String]) throws(TLSError) {
        let operation = "offer protocols"
        guard protocols.allSatisfy({ (1...255).contains($0.utf8.count) }) else {
            throw TLSError(operation: operation, detail: "an ALPN name has 1 to 255 bytes")
        }
        let list = TLSContext.encode(protocols)
        ERR_clear_error()
        // This call alone returns 0 for success.
        guard SSL_set_alpn_protos(ssl, list, CUnsignedInt(list.count)) == 0 else { throw .fromQueue(operation) }
    }
}
