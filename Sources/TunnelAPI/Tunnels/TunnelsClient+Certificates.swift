internal import FoundationEssentials

/// The CA certificates that are registered with a tunnel. Operations are sent again as those on tunnels are.
extension TunnelsClient {
    /// Registers a CA certificate.
    ///
    /// It is not known whether the API takes the same certificate twice, which would fill both of a tunnel's places.
    /// So after a failure that leaves open whether it was registered, the list is read, and it is sent again only if it is
    /// not there; without a fingerprint to look for it is not sent again at all.
    ///
    /// - Parameters:
    ///   - pem: one certificate of at most ``maxCertificateBytes``, without any private key.
    ///   - fingerprint: SHA-256 of the certificate in DER, in hexadecimal digits.
    public func addCertificate(
        _ pem: [UInt8], to id: String, fingerprint: String? = nil
    ) async throws(APIError) -> TunnelCertificate {
        let operation = "add the CA certificate"
        try check(id, "tunnel id", operation)
        let text = try certificateText(pem, operation)
        var call = APICall.change(
            operation, "/\(id)/certificates", body: jsonBytes(AddBody(certificate: text)))
        call.repetition = .unlessActedOn
        call.addsCertificate = true
        call.ambiguityRemedy = "list the tunnel's certificates before the next attempt: it may be registered already"
        let delivery = delivery()
        func read(_ body: [UInt8]) throws(APIResponse.Failure) -> TunnelCertificate {
            try APIResponse.certificate(body, tunnelID: id)
        }
        do throws(APIError) { return try await perform(call, delivery, read) } catch {
            guard error.mayHaveBeenActedOn, let wanted = fingerprint?.lowercased() else { throw error }
            let list = APICall.read("\(operation), nor see whether it was added", "/\(id)/certificates")
            do throws(APIError) {
                let present = try await all(list, [], includeArchived: false, delivery) {
                    body throws(APIResponse.Failure) in
                    try APIResponse.certificates(body, tunnelID: id)
                }
                if let certificate = present.first(where: { $0.fingerprint == wanted && !$0.isArchived }) {
                    return certificate
                }
            } catch { throw error.leavingOpen(call.ambiguityRemedy) }
        }
        return try await perform(call, delivery, read)
    }

    private struct AddBody: Encodable {
        var certificate: String
        enum CodingKeys: String, CodingKey { case certificate = "ca_certificate_pem" }
    }

    private func certificateText(_ pem: [UInt8], _ operation: String) throws(APIError) -> String {
        let refusal = { (reason: String, remedy: String) in
            APIError(.api, operation, .invalidArgument, reason, remedy: remedy)
        }
        guard pem.count <= Self.maxCertificateBytes else {
            throw refusal(
                "the certificate's file has \(pem.count) bytes",
                "keep only the CA's own block; at most \(Self.maxCertificateBytes) bytes are accepted")
        }
        guard let text = String(validating: pem, as: UTF8.self), !text.isEmpty else {
            throw refusal("the certificate is not PEM text", "give a -----BEGIN CERTIFICATE----- block")
        }
        guard !text.contains("PRIVATE KEY") else {
            throw refusal(
                "the certificate's file holds a private key, and was not sent", "keep the key in a file of its own")
        }
        return text
    }

    /// All certificates of a tunnel, newest first; those that are archived only on request.
    public func certificates(
        of id: String, includeArchived: Bool = false
    ) async throws(APIError) -> [TunnelCertificate] {
        let operation = "list the tunnel's certificates"
        try check(id, "tunnel id", operation)
        let call = APICall.read(operation, "/\(id)/certificates")
        return try await all(call, [], includeArchived: includeArchived, delivery()) {
            body throws(APIResponse.Failure) in
            try APIResponse.certificates(body, tunnelID: id)
        }
    }

    public func certificate(_ certificateID: String, of id: String) async throws(APIError) -> TunnelCertificate {
        let operation = "get the CA certificate"
        try check(id, "tunnel id", operation)
        try check(certificateID, "certificate id", operation)
        let call = APICall.read(operation, "/\(id)/certificates/\(certificateID)", .certificate)
        return try await perform(call, delivery()) { body throws(APIResponse.Failure) in
            try APIResponse.certificate(body, id: certificateID, tunnelID: id)
        }
    }

    /// Takes a certificate out of those that the tunnel trusts. Without any left, the tunnel rejects all traffic.
    public func archiveCertificate(
        _ certificateID: String, of id: String
    ) async throws(APIError) -> TunnelCertificate {
        let operation = "revoke the CA certificate"
        try check(id, "tunnel id", operation)
        try check(certificateID, "certificate id", operation)
        let call = APICall.change(operation, "/\(id)/certificates/\(certificateID)/archive", .certificate)
        return try await perform(call, delivery()) { body throws(APIResponse.Failure) in
            try APIResponse.certificate(body, id: certificateID, tunnelID: id)
        }
    }
}
