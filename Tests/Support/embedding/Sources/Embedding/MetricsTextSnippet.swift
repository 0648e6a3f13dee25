// docs/embedding.md
import TunnelCore
import TunnelProxy

/// What a `/metrics` of the program's own responds with, in the format that the client likes better.
func scrape(_ server: ProxyServer, accept: String) async -> (contentType: String, body: [UInt8]) {
    let format = MetricsText.Format.accepted(by: accept)
    return (format.contentType, MetricsText(format).write(await server.metrics()))
}
