internal import TunnelCore

/// Those fields of a configuration whose values may leave the machine in a report.
///
/// A list of what may, not of what may not: a field that is added later is left out until somebody has thought about it, and
/// a test asks for that.
package enum PublicFields {
    /// A field and its value as the reference page writes it.
    package struct Field: Sendable, Equatable {
        package let name: String
        package let value: String
    }

    /// Names and values as `docs/configuration.md` has them, in its order; a route is `routes.KEY`, and of
    /// `route_options.KEY` there are the fields that are set. Below
    /// `tunnels.DOMAIN` are those of one of several tunnels.
    package static func of(_ configuration: ProxyConfiguration) -> [Field] {
        ProxyConfiguration.fields.flatMap { field -> [Field] in
            switch field.name {
            case "tunnels": return configuration.tunnels.flatMap { of($0) }
            case let name where !configuration.tunnels.isEmpty && ProxyConfiguration.fieldsOfTunnel.contains(name):
                return []
            case "routes": return routes(configuration.routes)
            case "route_options": return options(configuration.routeOptions)
            default:
                return names.contains(field.name) ? [Field(name: field.name, value: field.shown(configuration))] : []
            }
        }
    }

    private static func of(_ tunnel: ProxyConfiguration.Tunnel) -> [Field] {
        let prefix = "tunnels.\(tunnel.domain)."
        return ProxyConfiguration.Tunnel.fields.flatMap { field -> [Field] in
            switch field.name {
            case "routes": return routes(tunnel.routes, prefix)
            case "route_options": return options(tunnel.routeOptions, prefix)
            default: return [Field(name: prefix + field.name, value: field.shown(tunnel))]
            }
        }
    }

    private static func routes(_ routes: [Route], _ prefix: String = "") -> [Field] {
        routes.map { Field(name: "\(prefix)routes.\($0.key)", value: $0.upstream.description) }
    }

    private static func options(_ byRoute: [String: RouteOptions], _ prefix: String = "") -> [Field] {
        byRoute.sorted { $0.key < $1.key }.flatMap { key, options in
            RouteOptions.fields.filter { ofRoute.contains($0.name) && $0.shown(options) != $0.shown(.init()) }
                .map { Field(name: "\(prefix)route_options.\(key).\($0.name)", value: $0.shown(options)) }
        }
    }

    package static let names: Set<String> = [
        "listen_addr", "listen_mode", "listen_group", "log_level", "log_format", "shutdown_timeout", "shutdown_delay",
        "admin_addr", "admin_hosts", "cloudflared_metrics", "tunnel_domain", "threads", "config_watch", "sandbox",
        "sandbox_ports", "routes", "route_options", "tunnels",
        "tls.cert_file", "tls.key_file", "tls.reload_interval", "tls.handshake_timeout", "tls.min_version",
        "tls.alpn", "tls.session_tickets", "tls.ticket_keys_file", "upstream.allowed_ips",
        "upstream.disable_ip_validation", "upstream.tls.ca_file",
        "upstream.tls.include_system_cas", "upstream.host_header", "upstream.forwarded_headers",
        "upstream.connect_timeout", "upstream.response_header_timeout", "upstream.dns_timeout", "upstream.dns_ttl",
        "upstream.idle_timeout", "upstream.max_idle_per_route", "upstream.http2", "upstream.sse_keepalive",
        "upstream.sse_keepalive_routes", "websocket.ping_interval",
        "websocket.idle_timeout", "websocket.compression", "websocket.subprotocol", "websocket.max_frame_size",
        "limits.max_header_bytes", "limits.max_headers", "limits.header_timeout", "limits.keep_alive_timeout",
        "limits.body_timeout", "limits.send_timeout", "limits.max_requests_per_connection", "limits.max_requests",
        "limits.max_queued", "limits.queue_timeout", "limits.rate", "limits.burst",
        "limits.max_connections", "limits.max_pending_connections", "limits.buffer_size", "metrics.mcp_names",
        "http2.stream_window", "http2.connection_window", "http2.max_frame_size", "http2.header_table_size",
        "http2.settings_timeout", "http2.window_timeout", "http2.max_resets", "http2.max_settings", "http2.max_pings",
        "http2.max_priority_updates", "http2.max_window_updates", "http2.max_empty_frames", "http2.max_tiny_frames",
        "log_mcp",
        "trace.enabled", "trace.sample_ratio", "trace.request_id",
    ]

    /// Those that were thought about and stay here.
    package static let withheld: Set<String> = []

    /// The same for the fields below a route's name.
    package static let ofRoute: Set<String> = [
        "host_header", "connect_timeout", "response_header_timeout", "sse_keepalive", "max_requests", "max_queued",
        "rate",
        "burst", "allowed_ips", "tls.ca_file", "tls.client_cert_file", "tls.client_key_file", "tls.server_name",
        "tls.pins", "methods", "paths",
    ]

    /// Names and files of secrets say what an upstream takes for a login.
    package static let withheldOfRoute: Set<String> = ["set_headers"]
}
