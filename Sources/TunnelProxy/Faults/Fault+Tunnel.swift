/// Faults between Anthropic's side and the proxy: Cloudflare's edge, cloudflared, the WebSocket and the TLS inside it.
extension Fault {
    package static let edgeName = Fault(
        "edge-name-unknown", "the name of Cloudflare's edge cannot be resolved",
        sign: "cloudflared: `lookup region1.v2.argotunnel.com: no such host`",
        cause: "DNS of this machine does not know names of the Internet",
        remedy: "let it resolve `region1.v2.argotunnel.com` and `region2.v2.argotunnel.com`")
    package static let edgeBlocked = Fault(
        "edge-blocked", "Cloudflare's edge cannot be reached on TCP port 7844",
        sign: "cloudflared never says `Registered tunnel connection`; callers get 502 and nobody logs anything",
        cause: "a firewall lets nothing out on port 7844",
        remedy: "allow TCP and UDP 7844 outwards to `198.41.192.0/19` and `2606:4700:a0::/44`")
    package static let edgePartly = Fault(
        "edge-partly-blocked", "one of the two regions of Cloudflare's edge cannot be reached", level: .warn,
        sign: "cloudflared has two connections where four are usual",
        cause: "a firewall knows only a part of the ranges",
        remedy: "allow TCP and UDP 7844 outwards to `198.41.192.0/19` and `2606:4700:a0::/44`")
    package static let edgeAPI = Fault(
        "edge-api-blocked", "Cloudflare's API cannot be reached on port 443", level: .warn,
        sign: "cloudflared does not learn of its updates; tunnels work",
        cause: "a firewall or a proxy stands before HTTPS", remedy: "allow TCP 443 outwards to `api.cloudflare.com`")
    package static let cloudflaredUnreachable = Fault(
        "cloudflared-unreachable", "cloudflared does not respond on its metrics port",
        sign: "no response from `cloudflared_metrics`",
        cause: "cloudflared does not run, has no `--metrics`, or listens elsewhere, perhaps on its own loopback",
        remedy: "run it with `--metrics 0.0.0.0:2000` in its container, and see that `cloudflared_metrics` names it")
    package static let cloudflaredNotReady = Fault(
        "cloudflared-not-ready", "cloudflared has no connection to the edge",
        sign: "its `/ready` gives 503 or `readyConnections` 0; callers get 502 and nobody logs anything",
        cause: "the token was rotated, the tunnel is archived, or the edge cannot be reached",
        remedy: "read cloudflared's log; `mcp-proxy check -edge` tells whether the network is in the way")
    package static let cloudflaredUnknown = Fault(
        "cloudflared-not-understood", "what responds on the metrics port is not cloudflared",
        sign: "`/ready` gives no JSON with `readyConnections`", cause: "another program has the port",
        remedy: "point `cloudflared_metrics` at the address that cloudflared has in `--metrics`")

    static let edge = [
        edgeName, edgeBlocked, edgePartly, edgeAPI, cloudflaredUnreachable, cloudflaredNotReady, cloudflaredUnknown,
    ]

    package static let proxyNotRunning = Fault(
        "proxy-not-running", "nothing listens where the proxy should",
        sign: "`connection refused`; cloudflared: `Unable to reach the origin service`",
        cause: "the proxy does not run, or `listen_addr` is another address or port",
        remedy: "start it, and compare the address with `listen_addr` and with cloudflared's `--url`")
    package static let proxyUnreachable = Fault(
        "proxy-unreachable", "the proxy's address cannot be reached",
        sign: "a connection attempt that gets no response; cloudflared: `Unable to reach the origin service`",
        cause: "another network, or a firewall or NetworkPolicy in between",
        remedy: "put both into one network, and use the address that the proxy's log names after `listening`")
    package static let proxyNoWebSocket = Fault(
        "proxy-not-websocket", "what listens there is not the proxy",
        sign: "another response than 101 to the WebSocket upgrade",
        cause: "another program has the port, or something that speaks HTTP stands in front",
        remedy: "point cloudflared's `--url` at the proxy itself")
    package static let proxyBusy = Fault(
        "proxy-connection-limit", "the proxy takes no more connections", sign: "503 to the WebSocket upgrade",
        cause: "`limits.max_connections` is reached, or the proxy stops",
        remedy: "see who holds the connections; raise the limit or the memory")
    package static let innerUntrusted = Fault(
        "inner-tls-untrusted", "the proxy's certificate was not signed by that CA",
        sign: "log `tls handshake failed`, `reason=unknown certificate authority`",
        cause: "the CA that signed `tls.crt` is not the one that is registered on the tunnel",
        remedy: "compare `setup verify` and `setup certs list`; then `setup init`, or register `ca.crt`")
    package static let innerName = Fault(
        "inner-tls-name", "the proxy's certificate is for other names",
        sign: "log `tls handshake failed`, `reason=bad certificate`", cause: "`tls.crt` is of another tunnel",
        remedy: "`setup renew-cert`, or mend `tunnel_domain`")
    package static let innerExpired = Fault(
        "inner-tls-expired", "the proxy's certificate is not valid now",
        sign: "log `tls handshake failed`, `reason=certificate expired` or `bad certificate`",
        cause: "it was not renewed, or a clock is wrong", remedy: "`setup renew-cert`; compare the clocks")
    package static let innerFailed = Fault(
        "inner-tls-failed", "the TLS handshake inside the tunnel fails",
        sign: "log `tls handshake failed` with the reason",
        cause: "no common version or cipher, or something between changes the bytes",
        remedy: "read the proxy's log line of that moment; `tls.min_version`")
    package static let tunnelBroken = Fault(
        "tunnel-broken-off", "the tunnel broke off in the midst of an exchange",
        sign: "log `end=client_gone` or `end=shutdown`",
        cause: "the proxy stopped, or something in between cut the connection",
        remedy: "see the proxy's log; time-outs of what stands between")

    static let tunnel = [
        proxyNotRunning, proxyUnreachable, proxyNoWebSocket, proxyBusy, innerUntrusted, innerName, innerExpired,
        innerFailed, tunnelBroken,
    ]
}
