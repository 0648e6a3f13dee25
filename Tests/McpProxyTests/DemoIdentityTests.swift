import Glibc
import Testing

@testable import mcp_proxy

@Suite struct DemoIdentityTests {
    /// The permission bits of a file or folder, `nil` if it is not there.
    private func mode(of path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : nil
    }

    @Test func keyIsPrivateAndGoneAfterwards() throws {
        let identity = try DemoIdentity(domain: "t.example")
        let key = identity.keyFile
        let certificate = identity.certificateFile
        let folder = String(key.dropLast("/tls.key".count))
        #expect(mode(of: folder) == 0o700 && mode(of: key) == 0o600 && mode(of: certificate) == 0o600)
        identity.removeFiles()
        #expect(mode(of: key) == nil && mode(of: certificate) == nil && mode(of: folder) == nil)
    }
}
