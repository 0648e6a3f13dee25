internal import TunnelCore

/// The hosts that are reached without a proxy: the value of `NO_PROXY`, a list with commas.
///
/// - `*` is every host.
/// - `example.com` is that host and those below it; `.example.com` and `*.example.com` are only those below.
/// - `10.0.0.1` and `::1` are one address, `10.0.0.0/8` a range of them (bits behind the prefix do not count).
/// - `example.com:8443`, `10.0.0.1:8443` and `[::1]:8443` count for that port only.
struct ProxyExceptions: Sendable {
    private enum Host: Sendable {
        case all
        case addresses(IPPrefix)
        /// In lower case, without a leading dot.
        case name(String, includingItself: Bool)
    }

    private var entries: [(host: Host, port: UInt16?)] = []

    /// None.
    init() {}

    /// - Throws: for an entry that is none of these forms.
    init(_ list: String) throws(ProxySettingsError) {
        for entry in list.split(separator: ",") {
            let text = entry.trimmingSpaces
            if !text.isEmpty { entries.append(try ProxyExceptions.parse(text)) }
        }
    }

    private static func parse(_ text: Substring) throws(ProxySettingsError) -> (host: Host, port: UInt16?) {
        if text == "*" { return (.all, nil) }
        if let address = IPAddress(text) { return (.addresses(IPPrefix(address)), nil) }
        if let range = range(text) { return (.addresses(range), nil) }
        let isBelowOnly = text.hasPrefix(".") || text.hasPrefix("*.")
        let name = Array((isBelowOnly ? text.drop { $0 == "*" }.dropFirst() : text).utf8)
        guard let parts = Authority.split(name.span), name.first != UInt8(ascii: ".") else { throw refusal(of: text) }
        var port: UInt16?
        if let digits = parts.port {
            port = UInt16(String(decoding: name[digits], as: UTF8.self))
            guard let port, port > 0 else { throw refusal(of: text) }
        }
        let host = Authority.normalizedHost(name.span)
        if !isBelowOnly, let address = IPAddress(host) { return (.addresses(IPPrefix(address)), port) }
        guard !host.contains(":") else { throw refusal(of: text) }
        return (.name(host, includingItself: !isBelowOnly), port)
    }

    /// CIDR notation. Unlike elsewhere bits behind the prefix are taken as if they were not there: Go does, and here
    /// the worst that a misreading can do is a connection past the proxy.
    private static func range(_ text: Substring) -> IPPrefix? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), parts[1].utf8.count <= 3,
            parts[1].utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let length = Int(parts[1]),
            length <= address.bitWidth
        else { return nil }
        return IPPrefix(masking: address, length: length)
    }

    private static func refusal(of text: Substring) -> ProxySettingsError {
        // An entry of that form can only be the address of a proxy that went to the wrong variable.
        if text.contains("@") { return ProxySettingsError("an entry holds user information") }
        let shown = text.unicodeScalars.prefix(64).map { $0.escaped(asASCII: true) }.joined()
        return ProxySettingsError("\"\(shown)\" is not a host name, an address or a range of addresses")
    }

    /// Whether `host`, a name in lower case or an address, is reached without a proxy.
    func contain(host: String, port: UInt16) -> Bool {
        let address = IPAddress(host)
        return entries.contains { entry in
            if let only = entry.port, only != port { return false }
            return switch entry.host {
            case .all: true
            case .addresses(let range): address.map(range.contains) ?? false
            case .name(let name, let includingItself):
                address == nil && (host.hasSuffix("." + name) || includingItself && host == name)
            }
        }
    }
}

extension Substring {
    fileprivate var trimmingSpaces: Substring {
        var text = drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}
