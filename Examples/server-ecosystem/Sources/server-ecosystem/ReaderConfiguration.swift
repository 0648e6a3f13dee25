// docs/embedding.md
import Configuration
import TunnelCore
import TunnelProxy

/// A configuration from wherever the program has its own: environment, files, command line.
func configuration(from reader: ConfigReader) throws -> ProxyConfiguration {
    let files = try (reader.requiredString(forKey: "tls.certFile"), reader.requiredString(forKey: "tls.keyFile"))
    let upstream = try UpstreamAddress(reader.requiredString(forKey: "upstream"))
    let port = UInt16(clamping: reader.int(forKey: "port", default: 8080))
    return try ProxyConfiguration(
        listenAddress: .tcp(IPAddress(v4Bytes: 127, 0, 0, 1), port: port),
        tls: ProxyConfiguration.TLS(certFile: files.0, keyFile: files.1),
        routes: [Route(key: reader.requiredString(forKey: "host"), upstream: upstream)])
}
// docs/embedding.md
