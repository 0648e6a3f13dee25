/// Faults of the MCP server itself, and of the authorization in front of it.
extension Fault {
    package static let misdirected = Fault(
        "mcp-host-refused", "the MCP server does not accept the tunnel's host name",
        sign: "421 `Invalid Host header` to each request, while its health check is green",
        cause: "the server checks Host against a list, as the Python SDK does when it listens on a loopback address",
        remedy:
            "allow the public name: `TransportSecuritySettings(allowed_hosts=[\"NAME\"])` as `transport_security=` of"
            + " `FastMCP(...)` in 1.x and of `mcp.run(...)` in 2.x; or `upstream.host_header: upstream`, with that name in"
            + " the list")
    package static let notFound = Fault(
        "mcp-path-not-found", "there is no MCP server at that path", sign: "404",
        cause: "the path is missing in the URL or is another one; FastMCP serves `/mcp`",
        remedy:
            "give the path that the server serves: `mcp-proxy check -path /PATH`, and the same in the connector's URL")
    package static let postNotAllowed = Fault(
        "mcp-post-not-allowed", "the path takes no POST", sign: "405 to POST",
        cause: "the path belongs to something else, or to the old transport, whose POST goes elsewhere",
        remedy: "give the path of the streamable HTTP transport, `/mcp` in most servers")
    package static let redirected = Fault(
        "mcp-redirected", "the MCP server sends callers elsewhere", sign: "301, 302, 307 or 308",
        cause:
            "a slash at the end of the path is missing or too much, or the server insists on its own name or on https",
        remedy: "use the path that `Location` names; have the server trust `X-Forwarded-Proto`")
    package static let serverError = Fault(
        "mcp-server-error", "the MCP server fails", sign: "a status of 500 and above",
        cause: "an exception in the server, or what stands in front of it does not reach it",
        remedy: "read the server's log of that moment")
    package static let tooMany = Fault(
        "mcp-rate-limited", "the MCP server limits requests", level: .warn, sign: "429",
        cause: "a rate limit in the server, or in front of it, which sees all callers as one",
        remedy: "take the proxy's address out of the limit")
    package static let badRequest = Fault(
        "mcp-request-refused", "the MCP server refuses both handshakes", sign: "400, 406 or 415",
        cause: "the server wants something that no MCP client sends, or something in between changes the request",
        remedy: "read the server's words in the evidence, and its log")
    package static let notMCP = Fault(
        "mcp-not-mcp", "the response is not MCP", sign: "200 with a web page or other JSON",
        cause: "the path belongs to something else, or a login page stands in front",
        remedy: "compare port and path with the server's documents")
    package static let discoverNotJSON = Fault(
        "mcp-discover-not-json", "server/discover has a response without JSON-RPC", level: .warn,
        sign: "Claude shows `Couldn't connect` although the older handshake works",
        cause: "the server says 200 to whatever it does not know, instead of 400 or 404",
        remedy: "update the server, or have it refuse methods that it does not know")
    package static let protocolError = Fault(
        "mcp-error", "the MCP server refuses the handshake with an error of its own", sign: "a JSON-RPC error",
        cause: "the code and the message are the server's", remedy: "read the server's words in the evidence")
    package static let versionUnknown = Fault(
        "mcp-version-unsupported", "server and client have no protocol version in common",
        sign: "JSON-RPC error -32022, or a version in the response that no client knows",
        cause: "the server is older or newer than what Claude speaks", remedy: "update the server's SDK")
    package static let headerMismatch = Fault(
        "mcp-header-mismatch", "the server sees other MCP header fields than were sent",
        sign: "JSON-RPC error -32020 to each request",
        cause:
            "something between proxy and server removes or changes `MCP-Protocol-Version`, `Mcp-Method` or `Mcp-Name`",
        remedy: "have it pass these fields unchanged")
    package static let capabilityRequired = Fault(
        "mcp-capability-required", "the server wants a capability that the client has not",
        sign: "JSON-RPC error -32021",
        cause: "it insists on sampling, elicitation or the like for a handshake",
        remedy: "let it do without; few clients have all")
    package static let streamWithoutResponse = Fault(
        "mcp-stream-without-response", "the event stream ends without the response",
        sign: "callers wait, or see an empty result", cause: "the server or a buffer between ended the stream early",
        remedy: "read the server's log; switch off buffering and compression of event streams")
    package static let oldTransport = Fault(
        "mcp-old-transport", "the server speaks only the old HTTP+SSE transport", level: .warn,
        sign: "405 or 404 to POST, an `endpoint` event to GET", cause: "a server of 2024",
        remedy: "update the server's SDK, and serve streamable HTTP")
    package static let slow = Fault(
        "mcp-slow", "the handshake takes longer than two seconds", level: .warn, sign: "callers may give up",
        cause: "a cold start, or a server that asks others first", remedy: "keep it warm, or see what it waits for")
    package static let getFails = Fault(
        "mcp-get-fails", "GET at the MCP server's path fails", level: .warn,
        sign: "older clients take the server for broken",
        cause: "an exception in the server: 405 is the healthy response",
        remedy: "have it respond 405 where it has no stream")

    static let mcp = [
        misdirected, notFound, postNotAllowed, redirected, serverError, tooMany, badRequest, notMCP, discoverNotJSON,
        protocolError, versionUnknown, headerMismatch, capabilityRequired, streamWithoutResponse, oldTransport, slow,
        getFails,
    ]

    // MARK: Authorization

    package static let loginRefused = Fault(
        "mcp-login-refused", "the MCP server does not take the login that was sent",
        sign: "401 or 403, although a token was sent",
        cause: "the token has ended, is for another audience, or lacks a scope",
        remedy: "get a new token for the route's public URL; read `WWW-Authenticate` in the response")
    package static let metadataMissing = Fault(
        "oauth-metadata-missing", "the server wants authorization and does not say whose", level: .warn,
        sign: "401, and 404 for `/.well-known/oauth-protected-resource`",
        cause: "the server has no protected-resource metadata (RFC 9728), or takes fixed tokens only",
        remedy: "serve the metadata, or give the token in the connector's settings")
    package static let metadataMalformed = Fault(
        "oauth-metadata-malformed", "the protected-resource metadata cannot be read", sign: "clients cannot log in",
        cause: "no JSON, or no `resource` in it", remedy: "serve JSON as RFC 9728 has it")
    package static let resourceHTTP = Fault(
        "oauth-resource-http", "the metadata says http:// where clients use https://",
        sign: "clients refuse the metadata: the resource is not the URL that they asked",
        cause: "the server builds its own URL and does not know that TLS ended before it",
        remedy:
            "have it trust `X-Forwarded-Proto` (uvicorn: `--proxy-headers --forwarded-allow-ips`), or set its public URL"
    )
    package static let resourceMismatch = Fault(
        "oauth-resource-mismatch", "the metadata's resource is not the public URL",
        sign: "clients refuse the metadata: the resource is not the URL that they asked",
        cause: "the server was told another URL of its own, or builds it from a name inside",
        remedy: "set its public URL (`resource_server_url` of the Python SDK) to the route's")
    package static let challengeMismatch = Fault(
        "oauth-challenge-mismatch", "WWW-Authenticate leads to another host for the metadata",
        sign: "clients look for the metadata where nobody serves it",
        cause: "the server builds `resource_metadata` from a name inside, or with http://",
        remedy: "set its public URL, or have it trust `X-Forwarded-Proto` and `X-Forwarded-Host`")
    package static let serverUnrouted = Fault(
        "oauth-server-unrouted", "an authorization server below the tunnel's domain has no route",
        sign: "the login ends with 502 `No route configured for host`", cause: "the route is missing",
        remedy: "add a route for that host")
    package static let serverPrivate = Fault(
        "oauth-server-private", "an authorization server has a name that only this network knows", level: .warn,
        sign: "Claude's side cannot fetch a token", cause: "the metadata names an inner host",
        remedy: "give the authorization server a route, and publish it under the tunnel's domain")

    static let authorization = [
        loginRefused, metadataMissing, metadataMalformed, resourceHTTP, resourceMismatch, challengeMismatch,
        serverUnrouted,
        serverPrivate,
    ]
}
