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

    /// Names and values as `docs/configuration.md` has them, in its order; a route is `routes.KEY`.
    package static func of(_ configuration: ProxyConfiguration) -> [Field] {
        ProxyConfiguration.fields.flatMap { field -> [Field] in
            if field.name == "routes" {
                return configuration.routes.map { Field(name: "routes.\($0.key)", value: $0.upstream.description) }
            }
            return names.contains(field.name) ? [Field(name: field.name, value: field.shown(configuration))] : []
        }
    }

    package static let names: Set<String> = [
        "listen_addr", "listen_mode", "listen_group", "log_level", "log_format", "shutdown_timeout", "shutdown_delay",
        "admin_addr", "admin_hosts", "cloudflared_metrics", "tunnel_domain", "threads", "config_watch", "routes",
        "tls.cert_file", "tls.key_file", "tls.reload_interval", "tls.handshake_timeout", "tls.min_version",
        "tls.session_tickets", "tls.ticket_keys_file",
        "upstream.allowed_ips", "upstream.disable_ip_validation", "upstream.tls.ca_file",
        "upstream.tls.include_system_cas", "upstream.host_header", "upstream.forwarded_headers",
        "upstream.connect_timeout", "upstream.response_header_timeout", "upstream.dns_timeout", "upstream.dns_ttl",
        "upstream.idle_timeout", "upstream.max_idle_per_route", "upstream.sse_keepalive",
        "upstream.sse_keepalive_routes", "websocket.ping_interval",
        "websocket.idle_timeout", "websocket.compression", "websocket.subprotocol", "websocket.max_frame_size",
        "limits.max_header_bytes", "limits.max_headers", "limits.header_timeout", "limits.keep_alive_timeout",
        "limits.body_timeout", "limits.send_timeout", "limits.max_requests_per_connection", "limits.max_requests",
        "limits.max_connections", "limits.max_pending_connections", "limits.buffer_size", "metrics.mcp_names",
        "log_mcp",
        "trace.enabled", "trace.sample_ratio", "trace.request_id",
    ]

    /// Those that were thought about and stay here.
    package static let withheld: Set<String> = []
}
