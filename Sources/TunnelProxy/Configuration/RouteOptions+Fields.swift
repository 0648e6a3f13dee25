package import TunnelCore

extension RouteOptions {
    /// Every field below a route's name, in the order of the reference page.
    package static var fields: [ConfigurationField<RouteOptions>] {
        [
            ConfigurationField("host_header", \.ownHostHeader),
            ConfigurationField("connect_timeout", \.ownConnectTimeout),
            ConfigurationField("response_header_timeout", \.ownHeaderTimeout),
            ConfigurationField("sse_keepalive", \.ownKeepAlive),
            ConfigurationField("max_requests", \.maxRequests),
            ConfigurationField("max_queued", \.maxQueued),
            ConfigurationField("rate", \.rateField),
            ConfigurationField("burst", \.burst),
            ConfigurationField("allowed_ips", \.ownRanges),
            ConfigurationField("tls.ca_file", \.tls.caFile),
            ConfigurationField("tls.client_cert_file", \.tls.clientCertFile),
            ConfigurationField("tls.client_key_file", \.tls.clientKeyFile),
            ConfigurationField("tls.server_name", \.tls.serverName),
            ConfigurationField("tls.pins", \.tls.pins),
            ConfigurationField("set_headers", \.headerList),
            ConfigurationField("methods", \.methods),
            ConfigurationField("paths", \.paths),
        ]
    }

    fileprivate var ownHostHeader: Own<ProxyConfiguration.Upstream.HostHeader> {
        get { Own(value: hostHeader) }
        set { hostHeader = newValue.value }
    }
    fileprivate var ownConnectTimeout: Own<Duration> {
        get { Own(value: connectTimeout) }
        set { connectTimeout = newValue.value }
    }
    fileprivate var ownHeaderTimeout: Own<Duration> {
        get { Own(value: responseHeaderTimeout) }
        set { responseHeaderTimeout = newValue.value }
    }
    fileprivate var ownKeepAlive: Own<Duration> {
        get { Own(value: sseKeepAlive) }
        set { sseKeepAlive = newValue.value }
    }
    fileprivate var rateField: RequestRate {
        get { RequestRate(value: rate) }
        set { rate = newValue.value }
    }
    fileprivate var ownRanges: Own<RangeList> {
        get { Own(value: allowedIPs.map { RangeList(ranges: $0) }) }
        set { allowedIPs = newValue.value?.ranges }
    }
    fileprivate var headerList: HeaderList {
        get { HeaderList(headers: setHeaders) }
        set { setHeaders = newValue.headers }
    }
}

/// A value that a route may have for itself.
struct Own<Value: ConfigurationValue>: ConfigurationValue {
    static var typeName: String { Value.typeName }
    static var kindName: String { Value.kindName }

    var value: Value?

    static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> Own? {
        Value.read(node, field: field, &decoder).map { Own(value: $0) }
    }

    var shown: String { value?.shown ?? "none" }
}

/// Requests a second.
struct RequestRate: ConfigurationValue {
    static var typeName: String { "number" }

    var value: Double

    static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> RequestRate? {
        let remedy = "write requests a second, such as 50 or 0.5"
        guard let text = node.text else {
            return decoder.mismatch(node, RequestRate.self, field: field, remedy: remedy)
        }
        // What Double reads besides: hexadecimal, exponents, infinity.
        let isPlain =
            (1...12).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
        guard isPlain, let value = Double(text) else {
            decoder.report("not a rate \"\(Diagnostic.excerpt(text))\"", remedy: remedy, field: field, at: node.mark)
            return nil
        }
        return RequestRate(value: value)
    }

    var shown: String { value == value.rounded() ? "\(Int(value))" : "\(value)" }
}

/// `set_headers` as a field. A value never stands in the configuration, so none can be in a message about it.
private struct HeaderList: ConfigurationValue {
    static var typeName: String { "map[string]file" }

    var headers: [RouteOptions.HeaderFile]

    private struct Source {
        var file = ""
        var prefix = ""

        static var fields: [ConfigurationField<Source>] {
            [ConfigurationField("file", \.file, isRequired: true), ConfigurationField("prefix", \.prefix)]
        }
    }

    static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> HeaderList? {
        let form = "write 'Name: {file: /path}': values are read from files, never from here"
        guard case .mapping(let entries) = node.content else {
            decoder.report("not a mapping", remedy: form, field: field, at: node.mark)
            return nil
        }
        var headers: [RouteOptions.HeaderFile] = []
        for entry in entries {
            guard let name = entry.key.text else { continue }
            let path = "\(field).\(Diagnostic.excerpt(name))"
            guard case .mapping = entry.value.content else {
                decoder.report("a value in the configuration", remedy: form, field: path, at: entry.key.mark)
                continue
            }
            var source = Source()
            decoder.decode(entry.value, at: path, Source.fields, into: &source)
            decoder.marks[path] = entry.key.mark
            if headers.contains(where: { $0.name.lowercased() == name.lowercased() }) {
                decoder.report(
                    "duplicate field", remedy: "keep one of them; names do not differ by case", field: path,
                    at: entry.key.mark)
            }
            headers.append(RouteOptions.HeaderFile(name: name, file: source.file, prefix: source.prefix))
        }
        return HeaderList(headers: headers)
    }

    var shown: String { headers.isEmpty ? "none" : "\(headers.count) fields" }
}

/// `route_options` as a field: from a key of `routes` to what that route has for itself.
struct RouteOptionsMap: ConfigurationValue {
    static var typeName: String { "map[string]options" }

    var byRoute: [String: RouteOptions]

    static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> RouteOptionsMap? {
        guard case .mapping(let entries) = node.content else {
            return decoder.mismatch(
                node, RouteOptionsMap.self, field: field, remedy: "write one 'route:' a line, with its options below it"
            )
        }
        var byRoute: [String: RouteOptions] = [:]
        for entry in entries {
            guard let key = entry.key.text else { continue }
            let path = "\(field).\(key.lowercased())"
            var options = RouteOptions()
            if byRoute[key.lowercased()] != nil {
                decoder.report(
                    "duplicate route", remedy: "keep one of them; host names do not differ by case", field: path,
                    at: entry.key.mark)
                continue
            }
            decoder.decode(entry.value, at: path, RouteOptions.fields, into: &options)
            decoder.marks[path] = entry.key.mark
            byRoute[key.lowercased()] = options
        }
        return RouteOptionsMap(byRoute: byRoute)
    }

    var shown: String { byRoute.isEmpty ? "none" : "\(byRoute.count) routes" }
}
