import Testing
import TunnelCore

@testable import TunnelProxy

@Suite struct TraceSettingsTests {
    private func read(_ environment: [String: String]) throws -> TraceSettings {
        try #require(try TraceSettings.read(environment))
    }

    @Test func hasTheDocumentedDefaults() throws {
        for environment in [
            [:], ["OTEL_SERVICE_NAME": "", "OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_SDK_DISABLED": "false"],
        ] {
            let settings = try read(environment)
            #expect(settings.sampler == Sampler(ratio: 1, followsParent: true))
            #expect(settings.export?.endpoint.description == "http://localhost:4318/v1/traces")
            #expect(settings.export?.timeout == 10_000_000_000 && settings.export?.caFile == nil)
            #expect(settings.queue == SpanQueue.Limits(spans: 2_048, batch: 512) && settings.delay == 5_000_000_000)
            #expect(settings.resource.last { $0.key == "service.name" }?.value == "mcp-proxy")
            #expect(settings.remarks == [])
        }
    }

    @Test func readsTheStandardVariables() throws {
        let settings = try read([
            "OTEL_SERVICE_NAME": "tunnel", "OTEL_RESOURCE_ATTRIBUTES": " a=1, b%20c = d%2Ce ,service.name=other",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example:4318/base/",
            "OTEL_EXPORTER_OTLP_HEADERS": "x=y", "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem", "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "99",
        ])
        #expect(settings.sampler == Sampler(ratio: 0.01, followsParent: true))
        let export = try #require(settings.export)
        #expect(export.endpoint.description == "https://collector.example:4318/base/v1/traces")
        #expect(export.timeout == 2_500_000_000 && export.caFile == "/ca.pem")
        #expect(settings.delay == 100_000_000)
        // A batch larger than the queue never fills.
        #expect(settings.queue == SpanQueue.Limits(spans: 10, batch: 10))
        #expect(settings.resource.contains { $0 == ("a", "1") } && settings.resource.contains { $0 == ("b c", "d,e") })
        #expect(settings.resource.last?.value == "tunnel")
    }

    @Test func theVariablesOfTracesComeFirst() throws {
        let settings = try read([
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b/x?y=1",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "a", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": "b",
        ])
        #expect(settings.export?.endpoint.target == "/x?y=1" && settings.export?.endpoint.host == "b")
        #expect(settings.export?.endpoint.description == "http://b/x")
        #expect(settings.export?.timeout == 2_000_000 && settings.export?.caFile == "b")
    }

    @Test func canBeTurnedOff() throws {
        for value in ["true", "TRUE", "True"] {
            #expect(try TraceSettings.read(["OTEL_SDK_DISABLED": value, "OTEL_TRACES_SAMPLER": "?"]) == nil)
        }
        #expect(try read(["OTEL_TRACES_EXPORTER": "none"]).export == nil)
    }

    @Test func saysWhatHasNoEffect() throws {
        #expect(try read(["OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"]).remarks == [])
        let remarks = try read(["OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"]).remarks
        #expect(
            remarks == [
                #"OTEL_EXPORTER_OTLP_PROTOCOL="grpc": spans go as http/json, usually at port 4318 in place of 4317"#
            ])
        #expect(try read(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"]).remarks.count == 1)
    }

    /// Each names its variable and the remedy, and none shows what may be secret.
    @Test(arguments: [
        ("OTEL_TRACES_SAMPLER", "sometimes"), ("OTEL_TRACES_EXPORTER", "jaeger"), ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1000001"), ("OTEL_BSP_SCHEDULE_DELAY", "5s"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "600001"), ("OTEL_RESOURCE_ATTRIBUTES", "a"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=%zz"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=v"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:s3cret@collector"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a?b"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"), ("OTEL_EXPORTER_OTLP_HEADERS", "a b=s3cret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret%0d%0ax: y"), ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Host=s3cret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "ok=1,content-length=s3cret"),
    ]) func refuses(_ name: String, _ value: String) throws {
        do {
            _ = try TraceSettings.read([name: value])
            Issue.record("taken")
        } catch {
            #expect(error.description.hasPrefix("\(name): ") && error.description.hasSuffix(")"))
            #expect(!error.description.contains("s3cret"))
        }
    }

    @Test func saysAllThatIsWrong() {
        do {
            _ = try TraceSettings.read([
                "OTEL_TRACES_SAMPLER": "x", "OTEL_TRACES_EXPORTER": "y", "OTEL_BSP_SCHEDULE_DELAY": "z",
            ])
            Issue.record("taken")
        } catch { #expect(error.description.split(separator: "\n").count == 3) }
    }

    @Test func aSamplersArgumentIsNamed() {
        do {
            _ = try TraceSettings.read(["OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"])
            Issue.record("taken")
        } catch { #expect(error.description.hasPrefix("OTEL_TRACES_SAMPLER_ARG: ")) }
    }
}

@Suite struct OTLPEndpointTests {
    @Test(arguments: [
        ("http://localhost:4318", true, "localhost", 4318, "/v1/traces"), ("http://a", true, "a", 80, "/v1/traces"),
        ("https://a/", true, "a", 443, "/v1/traces"), ("HTTPS://A.b/x//", true, "a.b", 443, "/x/v1/traces"),
        ("http://[::1]:9", true, "::1", 9, "/v1/traces"), ("http://10.0.0.1:9/", false, "10.0.0.1", 9, "/"),
        ("http://a", false, "a", 80, "/"), ("http://a?x", false, "a", 80, "/?x"), ("http://a:/p", false, "a", 80, "/p"),
    ]) func reads(_ text: String, _ isBase: Bool, _ host: String, _ port: UInt16, _ target: String) throws {
        let endpoint = try OTLPEndpoint(text, isBase: isBase)
        #expect(endpoint.host == host && endpoint.port == port && endpoint.target == target)
        #expect(endpoint.isSecure == text.lowercased().hasPrefix("https"))
    }

    @Test(arguments: [
        "", "a", "ftp://a", "http://", "http:///p", "http://a b", "http://a:0", "http://a:70000", "http://a:x",
        "http://[::1",
        "http://a/ b", "http://a/\u{E9}", "http://u@a", "http://a/\r\nx: y", "http://a#f",
    ]) func refuses(_ text: String) {
        #expect(throws: OTLPEndpoint.Failure.self) { try OTLPEndpoint(text, isBase: false) }
    }

    @Test func writesTheHead() throws {
        let endpoint = try OTLPEndpoint(
            "http://[::1]:4318", isBase: true, headers: [("authorization", Secret("Bearer t")), ("x", Secret(""))])
        var buffer = ByteBuffer()
        endpoint.appendHead(count: 12, to: &buffer)
        #expect(
            String(decoding: buffer.array, as: UTF8.self)
                == "POST /v1/traces HTTP/1.1\r\nHost: [::1]:4318\r\nUser-Agent: mcp-proxy/\(TunnelProxyVersion.current)\r\n"
                + "Content-Type: application/json\r\nContent-Length: 12\r\nauthorization: Bearer t\r\nx: \r\n\r\n")
        #expect(!"\(endpoint)".contains("Bearer t"))
    }
}
