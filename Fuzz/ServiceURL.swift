internal import TunnelAPI
internal import TunnelCore

/// Reads the input as the address of an API and as percent-encoded text. What is accepted is fit for a request line, leads
/// to this machine if it is plain, and is the same when it is written and read again.
func checkServiceURL(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    if let service = try? ServiceURL(text) {
        let line = service.authority + service.prefix
        precondition(line.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "a byte that no request line holds")
        precondition(!service.host.isEmpty && service.port > 0 && !service.authority.contains("@"), "no host")
        precondition(service.isSecure || service.isLoopback, "a secret in plain")
        precondition(
            service.prefix.isEmpty || service.prefix.hasPrefix("/") && !service.prefix.hasSuffix("/"), "a prefix")
        precondition((try? ServiceURL("\(service)")) == service, "an address that changes when it is written")
    }
    precondition(
        PercentEncoding.decode(PercentEncoding.encode(text)) == Array(text.utf8), "a text that does not return")
    if let decoded = PercentEncoding.decode(text) {
        precondition(decoded.count <= text.utf8.count, "more than there was")
    }
}
