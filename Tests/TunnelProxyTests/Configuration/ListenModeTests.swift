import Testing
import TunnelCore
import TunnelProxy

/// A file with what is required, to which a test adds its lines.
private let base = """
    listen_addr: ":8080"
    tls: {cert_file: /c, key_file: /k}
    routes: {echo.example.com: 'http://a:1'}

    """

private func parse(_ lines: String) throws(ConfigurationError) -> ProxyConfiguration {
    try ProxyConfiguration.parse(Array((base + lines).utf8), file: "f")
}

private func problems(_ lines: String) -> [String] {
    do throws(ConfigurationError) {
        _ = try parse(lines)
        return []
    } catch { return error.diagnostics.map(\.description) }
}

@Suite struct ListenModeTests {
    /// As for chmod(1): quotes or none, three digits or four.
    @Test(arguments: [
        ("0660", 0o660), ("660", 0o660), ("'0600'", 0o600), ("0o666", 0o666), ("000", 0), ("0777", 0o777),
    ])
    func readsModes(_ text: String, _ mode: Int) throws {
        let configuration = try parse("listen_mode: \(text)\nlisten_group: www\n")
        #expect(configuration.listenMode == mode && configuration.listenGroup == "www")
    }

    @Test(arguments: ["0x1b0", "88", "0680", "rw-rw----", "[0660]", "-660", "06600", "''", "1"])
    func refusesWhatIsNoMode(_ text: String) {
        let found = problems("listen_mode: \(text)\n")
        #expect(found.count == 1 && found[0].hasPrefix("f:4:14: listen_mode: "), "\(found)")
        #expect(found[0].contains("(write it as for chmod(1), such as 0660)"), "\(found)")
    }

    @Test func modesHaveNoMoreThanPermissions() {
        #expect(problems("listen_mode: 1777\n").first?.contains("listen_mode: out of range") == true)
    }
}
