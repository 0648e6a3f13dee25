import TunnelPKI

/// Any file, as an operator might hand it over. Besides not crashing:
/// - what was read, written out and read again is the same;
/// - line ends do not matter;
/// - a file without an error for the upload is one that `Certificate(pem:)` reads.
func checkCertificatePEM(_ bytes: [UInt8]) {
    let document = try? PEMDocument(bytes)
    for block in document?.blocks ?? [] {
        let again = try? PEMDocument(PEMDocument.encode(label: block.label, contents: block.contents))
        precondition(again?.blocks.count == 1 && again?.hasTextAround == false)
        precondition(again?.blocks.first?.label == block.label && again?.blocks.first?.contents == block.contents)
    }
    if !bytes.contains(0x0D), bytes.count < PEMDocument.maxBytes / 2 {
        let other = try? PEMDocument(bytes.flatMap { $0 == 0x0A ? [0x0D, 0x0A] : [$0] })
        precondition(other?.blocks == document?.blocks && other?.hasTextAround == document?.hasTextAround)
    }
    checkRequirements(bytes)
    _ = try? PrivateKey(pem: bytes)
    _ = try? Certificate.all(pem: bytes)
}

private func checkRequirements(_ bytes: [UInt8]) {
    let requirements = CertificateRequirements(now: 1_800_000_000, expiryWarning: .seconds(86_400))
    let upload = requirements.checkCA(file: bytes)
    precondition(upload == requirements.checkCA(file: bytes))
    precondition(upload.hasErrors || (try? Certificate(pem: bytes)) != nil)
    // Also as its own authority, so that the comparisons of two certificates are reached.
    let server = requirements.checkServer(file: bytes, caFile: bytes, tunnelDomain: "t.example")
    precondition(server.hasErrors, "no certificate is a server's certificate that it signed itself")
    let hosts = requirements.checkServer(
        file: bytes, caFile: bytes, tunnelDomain: "t.example", hosts: ["a.t.example", "b.c.t.example"])
    precondition(hosts.hasErrors)
    _ = requirements.checkKey(file: bytes, certificateFile: bytes)
}
