import Glibc
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy

/// What a command line of `mcp-proxy probe` asks for.
struct ProbeOptions {
    /// Where the proxy is.
    let place: Healthcheck.Place
    /// The same as it was written, or the default.
    let url: String
    /// The public host name of a route.
    let host: String
    let path: String
    /// A request to be made in place of a handshake of MCP.
    let plain: Plain?
    /// Beside those that a request has anyway.
    let fields: [(name: String, value: String)]
    let limit: Duration
    let count: Int
    let interval: Duration
    let isJSON: Bool

    struct Plain {
        let method: String
        let body: [UInt8]
        let showsHead: Bool
    }

    /// Whether a login goes with each request, so that 401 says that it is wrong.
    var hasAuthorization: Bool { fields.contains { $0.name.lowercased() == "authorization" } }

    static let url = CommandFlag(
        "url", takes: "URL", "where the proxy is: ws://HOST:PORT or unix:/path (default ws://127.0.0.1:8080)")
    static let ca = CommandFlag("ca", takes: "PATH", "the CA that is registered on the tunnel, in PEM")
    static let host = CommandFlag("host", takes: "NAME", "public host name of a route, such as echo.DOMAIN")
    static let path = CommandFlag("path", takes: "PATH", "of the MCP server or of the request (default /mcp)")
    static let method = CommandFlag("method", takes: "METHOD", "make this request, and no handshake of MCP")
    static let data = CommandFlag(
        "data", takes: "TEXT", "make a request with this body; @FILE reads it, @- standard input")
    static let field = CommandFlag(
        "H", takes: "FIELD", "send this field too, as 'Name: value', or those that @FILE holds; repeatable")
    static let include = CommandFlag("include", "make a request, and print the head of its response too")
    static let http2 = CommandFlag("http2", "offer HTTP/2 to the proxy, and go on with what it chooses")
    static let count = CommandFlag("count", takes: "N", "so many times, and then loss and percentiles (default 1)")
    static let interval = CommandFlag("interval", takes: "DURATION", "from one to the next (default 1s)")
    static let timeout = CommandFlag(
        "timeout", takes: "DURATION", "for each time, and of a request until its response begins (default 10s)")
    static let json = CommandFlag("json", "print one JSON object for each time, and no body")

    static let flags = [url, ca, host, path, method, data, field, include, http2, count, interval, timeout, json]

    /// - Throws: ``UsageError`` for what cannot be tried at all.
    init(_ arguments: Arguments) throws {
        url = arguments[Self.url] ?? "ws://127.0.0.1:8080"
        place = try Self.place(url)
        guard let host = arguments[Self.host] else {
            throw UsageError("flag -host is needed: the public host name of a route")
        }
        guard AddressSyntax.isHostName(host) else {
            throw UsageError(
                "flag -host: not a host name \"\(Diagnostic.excerpt(host))\" (write echo.DOMAIN, without scheme and path)"
            )
        }
        self.host = host.lowercased()
        path = arguments[Self.path] ?? HelloServer.path
        guard HTTPToken.isTarget(path), path.hasPrefix("/") else {
            throw UsageError(
                "flag -path: \"\(Diagnostic.excerpt(path))\" does not begin with / or holds what no URL may")
        }
        fields = try arguments.all(Self.field).flatMap(Self.fields)
        isJSON = arguments.has(Self.json)
        limit = try Self.duration(arguments, Self.timeout) ?? .seconds(10)
        interval = try Self.duration(arguments, Self.interval) ?? .seconds(1)
        count = try Self.count(arguments)
        plain = try Self.plain(arguments)
    }

    // MARK: Values

    private static func place(_ url: String) throws(UsageError) -> Healthcheck.Place {
        let remedy = "write ws://127.0.0.1:8080, ws://NAME:8080 or unix:/path"
        let refusal = UsageError("flag -url: invalid URL \"\(Diagnostic.excerpt(url))\" (\(remedy))")
        if url.hasPrefix("wss://") {
            throw UsageError("flag -url: the proxy speaks ws://, TLS comes inside of the WebSocket (\(remedy))")
        }
        var text = url[...]
        if text.hasPrefix("ws://") {
            text = text.dropFirst(5)
            if text.hasSuffix("/") { text = text.dropLast() }
        } else if !text.hasPrefix("unix:/") {
            throw refusal
        }
        do { return try Healthcheck.Place(String(text)) } catch { throw refusal }
    }

    /// A login is better kept in a file: everybody on the machine can read a command line.
    private static func fields(_ text: String) throws(UsageError) -> [(name: String, value: String)] {
        guard text.hasPrefix("@") else { return [try field(text)] }
        let lines: [UInt8]
        do { lines = try FileBytes.read(String(text.dropFirst())) } catch { throw UsageError("flag -H: \(error)") }
        var fields: [(name: String, value: String)] = []
        for line in lines.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
            fields.append(try field(String(decoding: line, as: UTF8.self)))
        }
        return fields
    }

    private static func field(_ text: String) throws(UsageError) -> (name: String, value: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let value = parts.count == 2 ? String(parts[1].drop { $0 == " " }) : ""
        guard parts.count == 2, HTTPToken.isToken(String(parts[0])), HTTPToken.isFieldValue(value) else {
            // The value may be a token that nobody else should read.
            throw UsageError("flag -H: not a field \"\(Diagnostic.excerpt(String(parts[0])))\" (write 'Name: value')")
        }
        let name = String(parts[0])
        if ["content-length", "transfer-encoding", "connection", "upgrade"].contains(name.lowercased()) {
            throw UsageError("flag -H: \(name) is made by the probe itself")
        }
        return (name, value)
    }

    private static func duration(_ arguments: Arguments, _ flag: CommandFlag) throws(UsageError) -> Duration? {
        guard let text = arguments[flag] else { return nil }
        let duration = try? GoDuration(text).duration
        guard let duration, duration >= .milliseconds(1), duration <= .seconds(86_400) else {
            throw UsageError(
                "flag -\(flag.name): \"\(Diagnostic.excerpt(text))\" is no duration (write 500ms, 10s or 1m)")
        }
        return duration
    }

    private static func count(_ arguments: Arguments) throws(UsageError) -> Int {
        guard let text = arguments[count] else { return 1 }
        guard let number = Int(text), (1...1_000_000).contains(number) else {
            throw UsageError("flag -count: \"\(Diagnostic.excerpt(text))\" is out of range (use 1 to 1000000)")
        }
        return number
    }

    private static func plain(_ arguments: Arguments) throws -> Plain? {
        guard arguments[method] != nil || arguments[data] != nil || arguments.has(include) else { return nil }
        let body = try arguments[data].map(Self.body)
        let name = arguments[method] ?? (body == nil ? "GET" : "POST")
        guard HTTPToken.isToken(name), name != "CONNECT" else {
            throw UsageError("flag -method: \"\(Diagnostic.excerpt(name))\" is no method (write GET, POST or another)")
        }
        return Plain(method: name, body: body ?? [], showsHead: arguments.has(include))
    }

    /// Bytes of a body that a probe takes into memory.
    static let maxBody = 64 << 20

    private static func body(_ text: String) throws -> [UInt8] {
        guard text.hasPrefix("@") else { return Array(text.utf8) }
        let path = String(text.dropFirst())
        do {
            return try FileBytes.read(path == "-" ? "/dev/stdin" : path, limit: maxBody)
        } catch {
            throw UsageError("flag -data: \(error)")
        }
    }
}
