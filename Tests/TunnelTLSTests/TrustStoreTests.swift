import Glibc
import Testing
import TunnelPKI
import TunnelTLS

/// One at a time: the environment belongs to the whole process.
@Suite(.serialized) struct TrustStoreTests {
    /// The machine's own settings are out of the way while these run.
    init() {
        unsetenv("SSL_CERT_FILE")
        unsetenv("SSL_CERT_DIR")
    }

    @Test func countsWhatItRead() throws {
        let one = TestPKI.authority.certificate, other = TestPKI.stranger.certificate
        #expect(try TrustStore(pem: one).count == 1)
        #expect(try TrustStore(pem: one + other).count == 2)
    }

    static let unusable: [(String, [UInt8])] = [
        ("empty", []), ("text", Array("hello".utf8)),
        ("cut short", Array("-----BEGIN CERTIFICATE-----\nAAAA\n".utf8)),
        ("no certificate inside", Array("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".utf8)),
    ]
    @Test(arguments: unusable) func refusesWhatHoldsNone(_ row: (name: String, bytes: [UInt8])) {
        #expect(throws: TLSError.self) { try TrustStore(pem: row.bytes) }
    }

    @Test func refusesNothing() {
        #expect(throws: TLSError.self) { try TrustStore() }
    }

    @Test func readsTheFileOfTheEnvironment() throws {
        setenv("SSL_CERT_FILE", TestPKI.authority.certificatePath, 1)
        defer { unsetenv("SSL_CERT_FILE") }
        let store = try TrustStore(includingSystem: true)
        #expect(store.count == 1)
        #expect(try TrustStore(pem: TestPKI.stranger.certificate, includingSystem: true).count == 2)
    }

    @Test func aMissingFileOfTheEnvironmentIsAnError() {
        setenv("SSL_CERT_FILE", "/nonexistent", 1)
        defer { unsetenv("SSL_CERT_FILE") }
        let error = #expect(throws: TLSError.self) { try TrustStore(includingSystem: true) }
        #expect(error?.reason == "cannot read /nonexistent")
    }

    /// One that is longer is none, and is not read to its end.
    @Test func aFileOfTheEnvironmentHasABound() throws {
        let path = TestPKI.directory + "/long.pem"
        setenv("SSL_CERT_FILE", path, 1)
        defer { unsetenv("SSL_CERT_FILE") }
        let certificate = TestPKI.authority.certificate
        for (size, isTaken) in [(PEMDocument.maxBundleBytes, true), (PEMDocument.maxBundleBytes + 1, false)] {
            let file = try #require(fopen(path, "we"))
            let bytes = certificate + [UInt8](repeating: 0x0A, count: size - certificate.count)
            #expect(fwrite(bytes, 1, bytes.count, file) == size && fclose(file) == 0)
            if isTaken {
                #expect(try TrustStore(includingSystem: true).count == 1)
            } else {
                let error = #expect(throws: TLSError.self) { try TrustStore(includingSystem: true) }
                #expect(error?.reason == "cannot read \(path)")
            }
        }
    }

    @Test func readsTheDirectoriesOfTheEnvironment() throws {
        let directory = TestPKI.directory + "/roots"
        TestPKI.run(
            "mkdir -p \(directory) && cp \(TestPKI.authority.certificatePath) \(directory)/a.pem"
                + " && cp \(TestPKI.stranger.certificatePath) \(directory)/b.0 && echo no > \(directory)/README")
        setenv("SSL_CERT_DIR", "/nonexistent:\(directory)", 1)
        defer { unsetenv("SSL_CERT_DIR") }
        #expect(try TrustStore(includingSystem: true).count == 2)
        setenv("SSL_CERT_DIR", "/nonexistent", 1)
        #expect(throws: TLSError.self) { try TrustStore(includingSystem: true) }
    }

    @Test(.enabled(if: access("/etc/ssl/certs/ca-certificates.crt", R_OK) == 0))
    func readsTheSystemsBundle() throws {
        #expect(try TrustStore(includingSystem: true).count > 50)
    }
}
