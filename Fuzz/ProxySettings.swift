internal import TunnelAPI

/// Reads the input's first line as the address of a proxy and the rest as the list of exceptions. No error and no textual
/// form may show what stands for a password.
func checkProxySettings(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
    let password = "hush-0123456789"
    for proxy in [String(parts[0]), "http://user:\(password)@\(parts[0])"] {
        let environment = ["HTTPS_PROXY": proxy, "NO_PROXY": parts.count > 1 ? String(parts[1]) : ""]
        do throws(ProxySettingsError) {
            let settings = try ProxySettings(environment: environment)
            for address in ["https://api.example", "https://10.1.2.3:8443", "https://[fd00::1]", "http://127.0.0.1"] {
                guard let service = try? ServiceURL(address), let proxy = settings.proxy(for: service) else { continue }
                precondition(service.isSecure && proxy.port > 0 && !proxy.host.isEmpty, "a proxy that is none")
                precondition(!"\(proxy)\(String(reflecting: proxy))".contains(password), "a password in a text")
            }
        } catch {
            precondition(!"\(error)".contains(password), "a password in an error")
            precondition(
                "\(error)".unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value < 0x7F }, "a control character")
        }
    }
}
