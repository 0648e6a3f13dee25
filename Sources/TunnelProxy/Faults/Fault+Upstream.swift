/// Faults on the way from the proxy to an MCP server: its name, its address, the connection, TLS, and HTTP itself.
extension Fault {
    package static let nameUnknown = Fault(
        "upstream-name-unknown", "the upstream's name does not exist",
        sign: "502 `The upstream's name could not be resolved`, log `dial tcp: lookup ...: no such host`",
        cause: "a typo, a container that does not run, or a name of another network",
        remedy: "compare the name with that of the container or Service; both must share a network")
    package static let nameTimeout = Fault(
        "upstream-name-timeout", "the name server does not respond",
        sign: "504 `The upstream's name could not be resolved`, log `dial tcp: lookup ...: i/o timeout`",
        cause: "the name server is down or blocked, or says that it cannot know now",
        remedy: "look at `/etc/resolv.conf` and at what it names")
    package static let nameFailed = Fault(
        "upstream-name-failed", "the upstream's name could not be looked up", sign: "log `dial tcp: lookup ...`",
        cause: "this machine lacks memory, threads or descriptors", remedy: "see the error's own words")
    package static let addressRefused = Fault(
        "upstream-refused", "no address of the upstream may be dialled",
        sign: "502 `The upstream's address is not allowed`, log `IP validation failed: ... is not a private address`",
        cause: "the address lies outside of `upstream.allowed_ips`, which is the private IPv4 ranges by default",
        remedy: "add the smallest range that holds it to `upstream.allowed_ips`; the list replaces the default")
    package static let addressSpecial = Fault(
        "upstream-special-address", "the upstream is an address that no range opens",
        sign: "502 `The upstream's address is not allowed`, log `rule=denied_metadata`, `denied_link_local` and others",
        cause: "a metadata service, a link-local, multicast or unspecified address",
        remedy: "lead the route to an MCP server; if it is meant, list the address by itself in `upstream.allowed_ips`")
    package static let addressOwn = Fault(
        "upstream-is-the-proxy", "the route leads back to the proxy", sign: "log `rule=denied_own_listener`",
        cause: "the upstream's address and port are those of `listen_addr`", remedy: "name the MCP server's own port")
    package static let addressPartly = Fault(
        "upstream-partly-refused", "some addresses of the upstream may not be dialled", level: .warn,
        sign: "nothing: only the others are dialled",
        cause: "the name has addresses outside of `upstream.allowed_ips`, often IPv6 ones",
        remedy: "nothing, if the others are the right ones; else add the smallest range that holds them")
    package static let connectionRefused = Fault(
        "upstream-connection-refused", "nothing listens at the upstream's port",
        sign: "502 `The upstream could not be reached`, log `connect: connection refused`",
        cause: "the MCP server is down, or listens on another port, or only on its own loopback",
        remedy: "start it with `host=\"0.0.0.0\"` where it is another container, and compare the port")
    package static let unreachable = Fault(
        "upstream-unreachable", "no way leads to the upstream",
        sign: "502 `The upstream could not be reached`, log `no route to host` or `network is unreachable`",
        cause: "the machine is off, or this one is in another network", remedy: "put both into one network")
    package static let connectTimeout = Fault(
        "upstream-connect-timeout", "the upstream does not accept a connection in time",
        sign: "504 `The upstream did not accept a connection in time`", cause: "a firewall or NetworkPolicy drops it",
        remedy: "allow the proxy's address at the server, or its network in the NetworkPolicy")
    package static let addressDead = Fault(
        "upstream-address-dead", "one of the upstream's addresses does not accept connections", level: .warn,
        sign: "some new connections take a quarter of a second longer", cause: "a stale record, or a half-dead server",
        remedy: "mend or remove that address in DNS")

    static let upstream = [
        nameUnknown, nameTimeout, nameFailed, addressRefused, addressSpecial, addressOwn, addressPartly,
        connectionRefused, unreachable, connectTimeout, addressDead,
    ]

    // MARK: TLS

    private static func tls(
        _ id: String, _ title: String, level: Level = .fail, sign: String? = nil, cause: String, remedy: String
    ) -> Fault {
        let usual = "502 `The TLS handshake with the upstream failed`, log `tls handshake failed` with the reason"
        return Fault(id, title, level: level, sign: sign ?? usual, cause: cause, remedy: remedy)
    }

    package static let tlsUntrusted = tls(
        "upstream-tls-untrusted", "the upstream's certificate leads to no CA that is trusted",
        cause: "it is self-signed or of a private CA, or the server does not send its intermediates",
        remedy: "put its CA into the file of `upstream.tls.ca_file`, and have the server send the whole chain")
    package static let tlsName = tls(
        "upstream-tls-name", "the upstream's certificate is for other names",
        cause: "the route names the server otherwise than its certificate does, often by its address",
        remedy: "use a name of the certificate in the route, or name it in `tls.server_name` of its `route_options`")
    package static let tlsExpired = tls(
        "upstream-tls-expired", "the upstream's certificate has expired", cause: "nobody renewed it",
        remedy: "renew it at the server")
    package static let tlsNotYetValid = tls(
        "upstream-tls-not-yet-valid", "the upstream's certificate is not valid yet",
        cause: "the clock of this machine, or of the one that issued it, is wrong", remedy: "compare the clocks")
    package static let tlsExpiresSoon = tls(
        "upstream-tls-expires-soon", "the upstream's certificate ends within 14 days", level: .warn,
        sign: "nothing yet; from its end on, 502", cause: "its renewal has not run", remedy: "renew it at the server")
    package static let tlsPlain = tls(
        "upstream-tls-plain", "the upstream does not speak TLS",
        cause: "the route says `https` and the port speaks plain HTTP", remedy: "write `http://` in the route")
    package static let tlsProtocol = tls(
        "upstream-tls-protocol", "the upstream and the proxy have no TLS version or cipher in common",
        cause: "the server speaks TLS 1.1 or older only, or a narrow list of ciphers",
        remedy: "switch TLS 1.2 or 1.3 on at the server")
    package static let tlsALPN = tls(
        "upstream-tls-http2-only", "the upstream offers no HTTP/1.1 over TLS",
        cause: "it agrees by ALPN to `h2` only, and `upstream.http2` is `off`",
        remedy: "`upstream.http2: auto`, or switch HTTP/1.1 on at the server")
    package static let tlsClientCertificate = tls(
        "upstream-tls-client-certificate", "the upstream wants a certificate of the proxy's",
        cause: "it is set to mutual TLS, and the route has no certificate, or one that it does not take",
        remedy: "name one in `tls.client_cert_file` and `tls.client_key_file` of the route's `route_options`")
    package static let tlsTimeout = tls(
        "upstream-tls-timeout", "the TLS handshake with the upstream takes too long",
        sign: "504 `The TLS handshake with the upstream failed`",
        cause: "the server took the connection and is silent: overloaded, or the port speaks something else",
        remedy: "look at the server; compare the port")
    package static let tlsClosed = tls(
        "upstream-tls-closed", "the upstream ends the connection during the TLS handshake",
        cause: "it does not know the name asked for, refuses this address, or speaks something else",
        remedy: "read the server's log; compare name and port")
    package static let tlsFailed = tls(
        "upstream-tls-failed", "the TLS handshake with the upstream fails", cause: "the reason is OpenSSL's",
        remedy: "read the server's log, and try `openssl s_client -connect HOST:PORT`")

    static let upstreamTLS = [
        tlsUntrusted, tlsName, tlsExpired, tlsNotYetValid, tlsExpiresSoon, tlsPlain, tlsProtocol, tlsALPN,
        tlsClientCertificate, tlsTimeout, tlsClosed, tlsFailed,
    ]

    // MARK: HTTP

    package static let speaksTLS = Fault(
        "upstream-speaks-tls", "the upstream speaks TLS where plain HTTP is expected",
        sign: "502 `The upstream sent a malformed response`, or 400 of nginx's",
        cause: "the route says `http` and the port speaks TLS",
        remedy: "write `https://` in the route, and name its CA in `upstream.tls.ca_file`")
    package static let http2Only = Fault(
        "upstream-http2-only", "the upstream speaks HTTP/2 only", sign: "502 `The upstream sent a malformed response`",
        cause: "the port is for HTTP/2 with prior knowledge, as gRPC has it",
        remedy: "write `h2c://` in place of `http://` in the route")
    package static let http1Only = Fault(
        "upstream-http1-only", "the upstream does not speak HTTP/2 with prior knowledge",
        sign: "502 `The upstream sent a malformed response`",
        cause: "the route says `h2c://`, and the server speaks HTTP/1.1",
        remedy: "write `http://` in place of `h2c://` in the route")
    package static let notHTTP = Fault(
        "upstream-not-http", "what the upstream says is not HTTP/1.1",
        sign: "502 `The upstream sent a malformed response`, log `malformed response from upstream`",
        cause: "another program has the port, or the server breaks HTTP/1.1",
        remedy: "compare the port; `reason` says how")
    package static let closed = Fault(
        "upstream-closed", "the upstream ends the connection without a response",
        sign: "502 `The upstream closed the connection without a whole response`",
        cause: "the server crashes on the request, or the port belongs to something else",
        remedy: "read the server's log of that moment")
    package static let reset = Fault(
        "upstream-reset", "the upstream resets the connection",
        sign: "502 `The upstream closed the connection without a whole response`, `error=\"connection reset by peer\"`",
        cause: "the server crashed, or a firewall or a service mesh refuses the request",
        remedy: "read the server's log, and that of what stands in between")
    package static let silent = Fault(
        "upstream-silent", "the upstream takes the request and does not respond",
        sign: "the caller waits until its own time-out, or 504 with `upstream.response_header_timeout`",
        cause: "the server hangs, is overloaded, or waits for something itself",
        remedy: "look at the server; a restart often helps")
    package static let brokenOff = Fault(
        "upstream-broken-off", "the upstream's response breaks off",
        sign: "a response that is cut off, log `response from upstream broke off`",
        cause: "the server crashed within the response, or announces more bytes than it sends",
        remedy: "read the server's log")
    package static let stalled = Fault(
        "upstream-stalled", "the upstream's response stops in its midst",
        sign: "the caller waits", cause: "the server hangs behind the head, or a buffer between holds the rest back",
        remedy: "look at the server; switch off buffering of what stands in between")
    package static let unaskedUpgrade = Fault(
        "upstream-unasked-upgrade", "the upstream switches protocols that nobody asked it to switch",
        sign: "502, log `response from upstream` with 101",
        cause: "the server or what stands before it upgrades on its own",
        remedy: "switch off upgrades, such as h2c, for that server")
    package static let tooLarge = Fault(
        "upstream-response-too-large", "the response to a handshake is larger than any should be",
        sign: "over 1 MiB for one message", cause: "that is no MCP server, or one with an enormous description",
        remedy: "compare the port and the path")

    static let upstreamHTTP = [
        speaksTLS, http2Only, http1Only, notHTTP, closed, reset, silent, brokenOff, stalled, unaskedUpgrade, tooLarge,
    ]
}
