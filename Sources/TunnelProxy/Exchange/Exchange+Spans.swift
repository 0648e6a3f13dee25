internal import TunnelCore
internal import TunnelIO

/// The two spans of an exchange, by the semantic conventions of OpenTelemetry for HTTP and for MCP. As in the log, there is no
/// query, no field and no body in them.
extension Exchange {
    func writeServerSpan(_ facts: OTLPSpanWriter.Facts, _ span: inout OTLPSpanWriter) {
        begin(&span, facts)
        span.attribute("url.scheme", "https")
        labels.withPath { span.attribute("url.path", $0) }
        labels.withHost { host in writeServer(host, &span) }
        if let address = server?.clientAddress, !address.isEmpty {
            span.attribute("network.peer.address", address.span)
        }
        span.attribute("http.request.body.size", record.bytesIn)
        span.attribute("http.response.body.size", record.bytesOut)
        writeStatus(&span)
        labels.withMCPMethod { method in
            span.attribute("mcp.method.name", method)
            labels.withMCPName { name in span.attribute(Exchange.nameAttribute(of: method), name) }
        }
        labels.withMCPVersion { span.attribute("mcp.protocol.version", $0) }
        if let session = labels.session {
            HexText(session).withBytes { span.attribute("mcp_tunnel.session_hash", $0) }
        }
        if let routeName { span.attribute("mcp_tunnel.route", routeName) }
        labels.withID { span.attribute("mcp_tunnel.request", $0) }
        span.attribute("mcp_tunnel.end", record.end.rawValue)
        finish(&span, serverError)
    }

    func writeClientSpan(_ facts: OTLPSpanWriter.Facts, _ span: inout OTLPSpanWriter) {
        let upstream = snapshot.routes[trace.route].upstream
        begin(&span, facts)
        span.attribute("server.address", upstream.socketPath ?? upstream.host)
        if upstream.socketPath == nil { span.attribute("server.port", UInt64(upstream.port)) }
        labels.withPath { path in
            var url = ByteBuffer(capacity: 128)
            url.append(upstream.description)
            url.append(path)
            url.withBytes { span.attribute("url.full", $0) }
        }
        if case .ip(let address, let port) = record.upstream {
            span.attribute("network.peer.address", "\(address)")
            span.attribute("network.peer.port", UInt64(port))
        }
        if trace.resends > 0 { span.attribute("http.request.resend_count", trace.resends) }
        if hasUpstreamResponse { writeStatus(&span) }
        finish(&span, clientError)
    }

    // MARK: What both have

    private func begin(_ span: inout OTLPSpanWriter, _ facts: OTLPSpanWriter.Facts) {
        let isKnown = requestMethod != .other
        labels.withMethod { method in
            // A name that a client chooses would be one of any number.
            if isKnown { span.begin(method, facts) } else { Exchange.unknown.withUTF8Span { span.begin($0, facts) } }
            if isKnown {
                span.attribute("http.request.method", method)
            } else {
                span.attribute("http.request.method", "_OTHER")
                span.attribute("http.request.method_original", method)
            }
        }
    }

    private static let unknown: StaticString = "HTTP"

    private func writeStatus(_ span: inout OTLPSpanWriter) {
        if record.status > 0 { span.attribute("http.response.status_code", UInt64(record.status)) }
    }

    private func finish(_ span: inout OTLPSpanWriter, _ error: String?) {
        if let error { span.attribute("error.type", error) }
        span.end(failed: error != nil)
    }

    /// The host that was asked for, and the port where one was named.
    private func writeServer(_ authority: Span<UInt8>, _ span: inout OTLPSpanWriter) {
        guard let parts = Authority.split(authority) else { return }
        span.attribute("server.address", authority.extracting(parts.host))
        // Without one, it is that of the public URL.
        guard let digits = parts.port, !digits.isEmpty else { return span.attribute("server.port", 443) }
        var port: UInt64 = 0
        for index in digits { port = port * 10 + UInt64(authority[index] &- 0x30) }
        span.attribute("server.port", port)
    }

    /// By what MCP's conventions call the thing that the method is about.
    private static func nameAttribute(of method: Span<UInt8>) -> StaticString {
        if method.isText("tools/call") { return "gen_ai.tool.name" }
        return method.isText("prompts/get") ? "gen_ai.prompt.name" : "mcp.resource.uri"
    }

    // MARK: Errors

    private var requestMethod: Method { server?.request.method ?? .other }

    /// The status is the upstream's, and not our own.
    private var hasUpstreamResponse: Bool { phase == .relaying || phase == .piping }

    /// A request that was wrong is no failure of a server: 4xx says nothing.
    private var serverError: String? {
        if record.status >= 500 { return "\(record.status)" }
        switch record.end {
        case .complete, .refused, .limit, .badRequest: return nil
        case .clientGone, .upstreamFailed, .timeout, .shutdown: return record.end.rawValue
        }
    }

    private var clientError: String? {
        if hasUpstreamResponse, record.status >= 400 { return "\(record.status)" }
        return record.end == .complete ? nil : record.end.rawValue
    }
}

extension StaticString {
    fileprivate func withUTF8Span(_ body: (Span<UInt8>) -> Void) { withUTF8Buffer { body($0.span) } }
}

extension Span<UInt8> {
    fileprivate func isText(_ text: StaticString) -> Bool {
        count == text.utf8CodeUnitCount && text.withUTF8Buffer { text in indices.allSatisfy { self[$0] == text[$0] } }
    }
}
