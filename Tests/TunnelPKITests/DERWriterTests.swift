import Testing

@testable import TunnelPKI

/// X.690, against bytes worked out by hand and OpenSSL's well-known encodings.
@Suite struct DERWriterTests {
    @Test func encodesLengths() {
        #expect(Array(DER.octetString([UInt8](repeating: 0, count: 127)).prefix(2)) == [0x04, 0x7F])
        #expect(Array(DER.octetString([UInt8](repeating: 0, count: 128)).prefix(3)) == [0x04, 0x81, 0x80])
        #expect(Array(DER.octetString([UInt8](repeating: 0, count: 255)).prefix(3)) == [0x04, 0x81, 0xFF])
        #expect(Array(DER.octetString([UInt8](repeating: 0, count: 256)).prefix(4)) == [0x04, 0x82, 0x01, 0x00])
    }

    @Test func encodesNamedBits() {
        #expect(DER.namedBits([0x06]) == [0x03, 0x02, 0x01, 0x06])  // keyCertSign, cRLSign
        #expect(DER.namedBits([0xA0, 0x00]) == [0x03, 0x02, 0x05, 0xA0])  // digitalSignature, keyEncipherment
        #expect(DER.namedBits([0x00, 0x80]) == [0x03, 0x03, 0x07, 0x00, 0x80])  // decipherOnly
        #expect(DER.namedBits([0x00]) == [0x03, 0x01, 0x00])
    }

    @Test func encodesObjectIdentifiers() {
        #expect(
            DER.objectIdentifier([1, 3, 6, 1, 5, 5, 7, 3, 1])
                == [0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01])
        #expect(DER.objectIdentifier([1, 2, 840, 113_549]) == [0x06, 0x06, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D])
    }

    @Test func encodesBasicConstraints() {
        let extensions: [CertificateTemplate.Extension] = [
            .basicConstraints(isAuthority: true), .basicConstraints(isAuthority: false),
            .basicConstraints(isAuthority: true, pathLength: 0),
        ]
        #expect(
            extensions.map(\.value) == [
                [0x30, 0x03, 0x01, 0x01, 0xFF], [0x30, 0x00], [0x30, 0x06, 0x01, 0x01, 0xFF, 0x02, 0x01, 0x00],
            ])
    }
}
