import TunnelPKI

/// Any DER, as a certificate and as a private key, so that the fuzzer need not find its way through base64. Besides not
/// crashing: what was read keeps its bytes, and its PEM form is judged as a certificate.
func checkCertificateDER(_ bytes: [UInt8]) {
    checkAsCertificate(bytes)
    checkAsKey(bytes)
}

private func checkAsCertificate(_ bytes: [UInt8]) {
    guard let certificate = try? Certificate(der: bytes) else { return }
    precondition(certificate.der == bytes && certificate.fingerprint.utf8.count == 64)
    precondition((try? Certificate(pem: certificate.pem)) == certificate)
    let texts = [certificate.subject, certificate.issuer, certificate.serialNumber] + certificate.dnsNames
    precondition(texts.allSatisfy { $0.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } })
    let requirements = CertificateRequirements(now: certificate.notBefore)
    let upload = requirements.checkCA(file: certificate.pem)
    precondition(!upload.contains { $0.rule == .pem || $0.rule == .singleCertificate })
    let server = requirements.checkServer(
        file: certificate.pem, caFile: certificate.pem, tunnelDomain: "t.example")
    precondition(server.contains { $0.rule == .issuer })
}

private func checkAsKey(_ bytes: [UInt8]) {
    guard let key = try? PrivateKey(der: bytes) else { return }
    _ = try? key.pem
}
