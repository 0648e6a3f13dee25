internal import Synchronization
internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// The proxy's part in traces: who is recorded, and the way of a span to the collector. One for the life of a proxy.
final class Tracer: Sendable {
    let settings: TraceSettings
    let queue: SpanQueue
    private let exporter = Mutex<SpanExporter?>(nil)

    init(_ settings: TraceSettings) {
        self.settings = settings
        queue = SpanQueue(settings.queue)
    }

    /// - Returns: `nil` where the configuration or OTEL_SDK_DISABLED wants no traces.
    /// - Throws: for variables that cannot be understood.
    static func make(
        _ configuration: ProxyConfiguration, _ environment: [String: String] = TraceSettings.environment()
    ) throws(ProxyError) -> Tracer? {
        guard configuration.trace.enabled else { return nil }
        return try TraceSettings.read(environment).map { Tracer($0) }
    }

    /// Starts the thread that sends.
    ///
    /// - Throws: when there is no thread, or no CA to trust for an `https` endpoint.
    func start(_ log: Log) throws {
        for remark in settings.remarks { log(.warn, "trace setting without effect") { $0.field("setting", remark) } }
        log(.info, "tracing") { line in
            line.field("endpoint", settings.export?.endpoint.description ?? "none")
            line.field("sampler", settings.sampler.description)
        }
        guard let export = settings.export else { return }
        let plan = SpanSender.Plan(
            export: export,
            envelope: OTLPEnvelope(
                resource: settings.resource, scope: (name: "mcp-proxy", version: TunnelProxyVersion.current)),
            delay: settings.delay, queue: queue, tls: try Tracer.tls(export), log: log)
        let started = try SpanExporter(plan)
        exporter.withLock { $0 = started }
    }

    private static func tls(_ export: TraceSettings.Export) throws -> TLSClientContext? {
        guard export.endpoint.isSecure else { return nil }
        let name = "OTEL_EXPORTER_OTLP_CERTIFICATE"
        do {
            let pem = try export.caFile.map { file in try FileBytes.read(file) }
            return try TLSClientContext(
                trust: TrustStore(pem: pem, includingSystem: pem == nil), options: TLSClientOptions(alpn: ["http/1.1"]))
        } catch {
            throw ProxyError("\(name): \(error) (name a PEM file of the CA that the collector's certificate is from)")
        }
    }

    /// Takes spans to be sent. From any loop; costs a lock and never a wait for the collector.
    func submit(_ bytes: [UInt8], spans: Int) {
        // Without a collector nobody would take them out.
        guard settings.export != nil else { return }
        let next = queue.put(SpanQueue.Entry(bytes: bytes, spans: spans))
        if next != .nothing { exporter.withLock { $0 }?.nudge(next) }
    }

    /// Sends what is there and ends the thread. Blocks as long as `wait` does.
    ///
    /// - Parameters:
    ///   - wake: ends a `wait` whose condition may hold now.
    ///   - wait: waits until the condition holds, or for as long as the end of the proxy may take; once more, and only for a
    ///     moment, after what did not end was cut off.
    func stop(
        waking wake: @escaping @Sendable () -> Void, wait: (_ isCutOff: Bool, _ condition: () -> Bool) -> Void
    ) {
        guard let exporter = exporter.withLock({ $0.take() }) else { return }
        exporter.stop(waking: wake, wait: wait)
    }
}

/// The thread that spans are sent from. It stands back behind the threads that serve requests.
private final class SpanExporter: Sendable {
    private let loop: Loop
    private let thread: SystemThread

    init(_ plan: SpanSender.Plan) throws(IOError) {
        let loop = try Loop()
        thread = try SystemThread("traces", niceness: 5) { loop.run() }
        self.loop = loop
        loop.spawn { loop in loop.reactor.context = SpanSender(plan, on: loop.reactor) }
    }

    func nudge(_ next: SpanQueue.Next) {
        loop.spawn { loop in SpanSender.current(on: loop)?.nudge(next) }
    }

    func stop(
        waking wake: @escaping @Sendable () -> Void, wait: (_ isCutOff: Bool, _ condition: () -> Bool) -> Void
    ) {
        let isFlushed = Flag()
        loop.spawn { loop in
            SpanSender.current(on: loop)?.flush {
                isFlushed.set()
                wake()
            }
        }
        wait(false) { isFlushed.isSet }
        if !isFlushed.isSet {
            loop.spawn { loop in SpanSender.current(on: loop)?.cut() }
            wait(true) { isFlushed.isSet }
        }
        // The loop holds the sender, which holds the loop.
        loop.spawn { loop in
            loop.reactor.context = nil
            loop.stop()
        }
        thread.join()
    }
}
