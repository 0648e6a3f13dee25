internal import TunnelCore

/// Who may ask the admin listener: it is for people and programs that know its address, not for pages of other sites that a
/// browser beside it happens to show.
///
/// Such a page reaches it under a name of its own (DNS rebinding), so a name that is not one of ours is refused; an address
/// cannot be rebound. A request of another page says so in Origin, and in Sec-Fetch-Site where there is no Origin, as with an
/// image or a `fetch` that does not ask for the response: it would still change something, or hold a reader's place. Programs
/// send neither.
struct AdminGuard {
    /// Names in `admin_hosts`, in lower case.
    private let names: Set<String>
    /// A Unix socket has no name, and no browser reaches it.
    private let takesAnyHost: Bool

    init(_ configuration: ProxyConfiguration) {
        names = Set(configuration.adminHosts.map { $0.lowercased() })
        takesAnyHost = if case .unix = configuration.adminAddress { true } else { false }
    }

    /// Why a request is refused; `nil` where it may be served.
    ///
    /// - Parameter takesLinks: what is asked for may be opened from a link on another site.
    func refusal(of request: AdminRequest, takesLinks: Bool) -> AdminResponse? {
        let host = request.fields["host"] ?? ""
        if !takesAnyHost, !isOurs(host) {
            return .text(
                "Not a name of this listener: ask by its address, or list the name in admin_hosts", status: 421)
        }
        let isForeign = request.fields["origin"].map { !isSame($0, host) } ?? false
        if isForeign || isOfAnotherSite(request), !(takesLinks && request.isLink) {
            return .text("Refused: the request comes from another site", status: 403)
        }
        return nil
    }

    private func isOurs(_ host: String) -> Bool {
        let name = Self.withoutPort(host)
        return name == "localhost" || names.contains(name) || IPAddress(name) != nil
    }

    /// A browser says so of every request to an address of this machine (Fetch Metadata, section 2.4).
    private func isOfAnotherSite(_ request: AdminRequest) -> Bool {
        guard let site = request.fields["sec-fetch-site"] else { return false }
        return site != "same-origin" && site != "none"
    }

    private func isSame(_ origin: String, _ host: String) -> Bool {
        // A page of ours may have come by way of somebody's TLS.
        let (origin, host) = (origin.lowercased(), host.lowercased())
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    /// In lower case and without brackets.
    private static func withoutPort(_ host: String) -> String {
        let host = host.lowercased()
        if host.hasPrefix("[") { return String(host.dropFirst().prefix { $0 != "]" }) }
        return String(host.prefix { $0 != ":" })
    }
}

extension AdminRequest {
    /// Somebody follows a link: a browser opens what is asked for in a window of its own, and shows it to nobody else.
    fileprivate var isLink: Bool {
        (method == "GET" || method == "HEAD") && fields["origin"] == nil
            && fields["sec-fetch-mode"] == "navigate" && fields["sec-fetch-dest"] == "document"
    }
}
