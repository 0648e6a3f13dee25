/// Faults of the file and of its settings.
extension Fault {
    package static let configurationUnreadable = Fault(
        "configuration-unreadable", "the configuration cannot be read",
        sign: "`open ...: no such file or directory` or `permission denied`, and nothing starts",
        cause: "`-config` names another place, the file is not mounted, or the proxy's user may not read it",
        remedy: "name the file with `-config`, and let the user of the proxy, 65532 in the image, read it")
    package static let configurationInvalid = Fault(
        "configuration-invalid", "the configuration has an error",
        sign: "the proxy prints file, line and field, and does not start; a reload changes nothing",
        cause: "a field is misspelt, missing, out of range, or does not fit another",
        remedy: "do what stands in brackets behind the error; docs/configuration.md has all fields")
    package static let validationOff = Fault(
        "upstream-validation-off", "upstream addresses are not validated", level: .warn,
        sign: "WARN `upstream addresses are not validated` at the start",
        cause: "`upstream.disable_ip_validation: true`",
        remedy: "remove it, and list the ranges of your servers in `upstream.allowed_ips`")
    package static let everyAddressAllowed = Fault(
        "upstream-every-address", "a range of upstream.allowed_ips holds every address", level: .warn,
        sign: "WARN `upstream addresses are not validated` at the start",
        cause: "`0.0.0.0/0` or `::/0` in `upstream.allowed_ips`",
        remedy: "list the ranges of your servers in its place")
    package static let publicListener = Fault(
        "listener-public", "the listener has a public address", level: .warn,
        sign: "WARN `the listener has a public address` at the start",
        cause: "`listen_addr` is an address of the Internet, or means all addresses of a machine that has one",
        remedy: "listen on `127.0.0.1` or `unix:/path`, or see that a firewall keeps others out")
    package static let listenerBeyondHost = Fault(
        "listener-beyond-host", "others than this machine and its containers reach the listener", level: .warn,
        sign: "nothing: whoever is in the network can open a tunnel to the proxy",
        cause: "`listen_addr` is an address of a network card, or means all addresses, outside of a container",
        remedy:
            "listen on `127.0.0.1` or `unix:/path`, or on the address of the container network that cloudflared is in")
    package static let keyReadableByOthers = Fault(
        "key-readable-by-others", "every user of this machine can read the private key", level: .warn,
        sign: "nothing: with the key and a place in the network somebody can read the tunnel's traffic",
        cause: "the file in `tls.key_file` or `tls.ticket_keys_file` has mode 0644 or the like",
        remedy: "`chmod 640` and a group that the proxy's user is in, or `chmod 600` and `chown` to that user")
    package static let sandboxMissing = Fault(
        "sandbox-missing", "the kernel has not all of the sandbox that is required",
        sign: "`sandbox: required, but ...`, and the proxy does not start",
        cause:
            "`sandbox: required` on a kernel without Landlock, with one from before Linux 6.7, or in a container whose profile denies it",
        remedy:
            "use a kernel from 6.7 on with `landlock` among its security modules, or `sandbox: best-effort`, which takes what there is"
    )
    package static let verificationCA = Fault(
        "upstream-ca-unusable", "upstream.tls.ca_file cannot be used",
        sign: "`upstream.tls.ca_file: ...`, and the proxy does not start",
        cause: "the file is not there, cannot be read, or holds no certificate in PEM",
        remedy: "name a PEM file of the CAs that sign for your upstreams")
    package static let noRoute = Fault(
        "route-unknown", "no route has that host name",
        sign: "502 `No route configured for host`, log `no route for host`",
        cause:
            "the key in `routes` is misspelt or missing, `tunnel_domain` is another tunnel's, or the file was not reloaded",
        remedy: "add the route or mend `tunnel_domain`, then `mcp-proxy reload`")
    package static let routeUnreachable = Fault(
        "route-outside-domain", "a route has no public URL", level: .warn,
        sign: "nothing ever asks for it", cause: "its key is a full name that does not end in `tunnel_domain`",
        remedy: "write the label alone, or the full name with the tunnel's domain")

    static let configuration = [
        configurationUnreadable, configurationInvalid, validationOff, everyAddressAllowed, publicListener,
        listenerBeyondHost, keyReadableByOthers, sandboxMissing, verificationCA, noRoute, routeUnreachable,
    ]
}
