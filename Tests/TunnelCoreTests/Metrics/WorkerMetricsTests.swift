import Testing

@testable import TunnelCore

@Suite struct WorkerMetricsTests {
    private static func copied(_ metrics: WorkerMetrics) -> MetricsCopy {
        var copy = MetricsCopy()
        while !metrics.copy(&copy) {}
        return copy
    }

    private static func families(
        _ workers: [WorkerMetrics], _ routes: [MetricsSum.Route], tools: [String]? = nil
    ) -> [String: MetricFamily] {
        var sum = MetricsSum(routes)
        for worker in workers { sum.add(copied(worker)) }
        let families = sum.families(tools: tools) { Double($0) / 1_000_000_000 }
        return Dictionary(uniqueKeysWithValues: families.map { ($0.name, $0) })
    }

    private static func route(_ name: String, _ index: Int, _ generation: UInt64 = 1) -> MetricsSum.Route {
        MetricsSum.Route(name: name, slot: RouteSlot(index: index, generation: generation))
    }

    private func histogram(_ family: MetricFamily?, _ labels: KeyValuePairs<String, String>) -> HistogramValue? {
        if case .histogram(let value) = family?[labels]?.value { value } else { nil }
    }

    // MARK: Routes

    /// A duration that is a bound belongs to its bucket, one nanosecond more to the next.
    @Test func sortsDurationsIntoBuckets() throws {
        let bounds = HistogramBounds.request.nanoseconds
        #expect(bounds.first == 5_000_000 && bounds.last == 300_000_000_000 && bounds.count == 18)
        let metrics = WorkerMetrics()
        let counters = metrics.route(RouteSlot(index: 1, generation: 1))
        for bound in bounds {
            metrics.recordDuration(counters, .post, status: 200, nanoseconds: bound, now: 0)
            metrics.recordDuration(counters, .post, status: 200, nanoseconds: bound + 1, now: 0)
        }
        let found = Self.families([metrics], [Self.route("a", 1)])["http_server_request_duration_seconds"]
        let value = try #require(histogram(found, ["route": "a", "method": "POST", "status": "2xx"]))
        #expect(value.counts == [1] + [UInt64](repeating: 2, count: 17) + [1])
        #expect(value.count == 36)
        let sum = bounds.reduce(0.0) { $0 + 2 * Double($1) / 1_000_000_000 }
        #expect(abs(value.sum - sum) < 0.001)
    }

    @Test func tellsMethodsAndStatusesApart() {
        let metrics = WorkerMetrics()
        let counters = metrics.route(.none)
        let methods: [Method] = [.get, .head, .post, .put, .delete, .connect, .options, .trace, .patch, .other]
        for (index, method) in methods.enumerated() {
            for status: UInt16 in [0, 101, 204, 302, 404, 599, 999] {
                for _ in 0...index {
                    metrics.recordDuration(counters, method, status: status, nanoseconds: 1, now: 0)
                }
            }
        }
        let family = Self.families([metrics], [Self.route("", 0)])["http_server_request_duration_seconds"]
        let names = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "_OTHER"]
        for (index, name) in names.enumerated() {
            for (status, times) in [("", 1), ("1xx", 1), ("2xx", 1), ("3xx", 1), ("4xx", 1), ("5xx", 2)] {
                #expect(family?[["method": name, "status": status]]?.count == UInt64((index + 1) * times))
            }
        }
        #expect(family?.samples.count == 60)
    }

    @Test func sumsWorkers() {
        let workers = [WorkerMetrics(), WorkerMetrics(), WorkerMetrics()]
        for (index, worker) in workers.enumerated() {
            // In another order on each, so that the places of their series differ.
            for method in index == 1 ? [Method.post, .get] : [.get, .post] {
                let counters = worker.route(RouteSlot(index: 70, generation: 1))
                counters.began()
                counters.movedUp(10)
                counters.movedDown(100)
                counters.failed(.dns)
                counters.recordFirstByte(nanoseconds: 1)
                worker.recordDuration(counters, method, status: 200, nanoseconds: 1, now: 0)
            }
            worker.count(.dial(.ok), UInt64(index + 1))
            worker.count(.refusal(.metadata))
            worker.saw(.ping, at: UInt64(index + 1) * 1_000_000_000)
        }
        let found = Self.families(workers, [Self.route("a", 70), Self.route("b", 3)])
        for method in ["GET", "POST"] {
            let labels: KeyValuePairs = ["route": "a", "method": method, "status": "2xx"]
            #expect(found["http_server_request_duration_seconds"]?[labels]?.count == 3)
        }
        #expect(found["http_server_active_requests"]?[["route": "a"]]?.value == .number(6))
        #expect(found["http_server_active_requests"]?[["route": "b"]]?.value == .number(0))
        #expect(found["http_server_request_body_bytes_total"]?[["route": "a"]]?.count == 60)
        #expect(found["http_server_response_body_bytes_total"]?[["route": "a"]]?.count == 600)
        #expect(found["http_server_time_to_first_byte_seconds"]?[["route": "a"]]?.count == 6)
        #expect(found["http_server_time_to_first_byte_seconds"]?.samples.count == 1)
        #expect(found["mcp_tunnel_upstream_failures_total"]?[["route": "a", "error_type": "dns"]]?.count == 6)
        #expect(found["mcp_tunnel_upstream_dials_total"]?[["result": "ok"]]?.count == 6)
        #expect(found["mcp_tunnel_upstream_address_refusals_total"]?[["reason": "denied_metadata"]]?.count == 3)
        #expect(found["mcp_tunnel_far_side_last_seen_timestamp_seconds"]?[["event": "ping"]]?.value == .number(3))
        #expect(found["mcp_tunnel_far_side_last_seen_timestamp_seconds"]?[["event": "request"]] == nil)
    }

    @Test func whatGoesDownComesBack() {
        let metrics = WorkerMetrics()
        let counters = metrics.route(.none)
        counters.began()
        counters.began()
        counters.ended()
        metrics.count(.activeConnection)
        metrics.discount(.activeConnection)
        let found = Self.families([metrics], [Self.route("", 0)])
        #expect(found["http_server_active_requests"]?[["route": ""]]?.value == .number(1))
        #expect(metrics[.activeConnection] == 0)
    }

    /// A slot that another route gets begins at zero, and what the one before still counts is nobody's.
    @Test func aSlotGivenAwayBeginsAnew() {
        let metrics = WorkerMetrics()
        let old = metrics.route(RouteSlot(index: 1, generation: 1))
        old.began()
        metrics.recordDuration(old, .get, status: 200, nanoseconds: 1, now: 0)
        let new = metrics.route(RouteSlot(index: 1, generation: 2))
        old.ended()
        old.movedDown(5)
        metrics.recordDuration(old, .get, status: 200, nanoseconds: 1, now: 0)
        metrics.recordDuration(new, .post, status: 500, nanoseconds: 1, now: 0)
        // A request that still goes by the older configuration.
        metrics.route(RouteSlot(index: 1, generation: 1)).movedUp(7)
        let found = Self.families([metrics], [Self.route("new", 1, 2), Self.route("old", 1, 1)])
        #expect(found["http_server_request_duration_seconds"]?.samples.count == 1)
        #expect(
            found["http_server_request_duration_seconds"]?[["route": "new", "method": "POST", "status": "5xx"]]?.count
                == 1)
        for name in ["http_server_active_requests", "http_server_request_body_bytes_total"] {
            for route in ["new", "old"] { #expect(found[name]?[["route": route]]?.count == 0) }
        }
    }

    /// A copy that was begun before a series was given to another route begins anew.
    @Test func aCopyIsOfOneMoment() {
        let metrics = WorkerMetrics()
        for index in 0..<2000 {
            let counters = metrics.route(RouteSlot(index: index, generation: 1))
            metrics.recordDuration(counters, .get, status: 200, nanoseconds: 1, now: 0)
        }
        var copy = MetricsCopy()
        #expect(!metrics.copy(&copy))
        let taken = metrics.route(RouteSlot(index: 1999, generation: 2))
        metrics.recordDuration(taken, .get, status: 200, nanoseconds: 400_000_000_000, now: 0)
        var pieces = 1
        while !metrics.copy(&copy) { pieces += 1 }
        #expect(pieces > 3)
        var sum = MetricsSum([Self.route("taken", 1999, 2), Self.route("other", 5)])
        sum.add(copy)
        let family = sum.families(tools: nil) { _ in 0 }[0]
        #expect(histogram(family, ["route": "taken", "method": "GET", "status": "2xx"])?.counts.last == 1)
        #expect(histogram(family, ["route": "other", "method": "GET", "status": "2xx"])?.counts.first == 1)
    }

    @Test func keepsTheLastExemplarOfARoute() throws {
        let workers = [WorkerMetrics(), WorkerMetrics()]
        for (index, worker) in workers.enumerated() {
            let counters = worker.route(RouteSlot(index: 1, generation: 1))
            worker.recordDuration(counters, .post, status: 200, nanoseconds: 1, now: 9_000_000_000)
            worker.recordDuration(
                counters, .get, status: 200, nanoseconds: 20_000_000, now: UInt64(index + 1) * 1_000_000_000,
                traceID: (UInt64(index), 0xAB))
        }
        let family = Self.families(workers, [Self.route("a", 1)])["http_server_request_duration_seconds"]
        let get = try #require(histogram(family, ["route": "a", "method": "GET", "status": "2xx"]))
        #expect(
            get.exemplar
                == HistogramValue.Exemplar(
                    traceID: "000000000000000100000000000000ab", value: 0.02, timestamp: 2))
        #expect(histogram(family, ["route": "a", "method": "POST", "status": "2xx"])?.exemplar == nil)
    }

    // MARK: Event streams

    @Test func knowsTheOldestThatIsOpen() {
        var list = AgeList()
        #expect(list.oldest == nil)
        let places = (1...5).map { list.add(UInt64($0)) }
        list.remove(places[0])
        list.remove(places[2])
        #expect(list.oldest == 2 && list.count == 3)
        list.remove(places[1])
        list.remove(places[4])
        #expect(list.oldest == 4 && list.count == 1)
        // Memory is used again, and the order stays that of adding.
        let more = [list.add(6), list.add(7)]
        #expect(Set(more).isSubset(of: Set(places)))
        list.remove(places[3])
        #expect(list.oldest == 6)
        for place in more { list.remove(place) }
        #expect(list.oldest == nil && list.count == 0)
    }

    // MARK: Operations

    @Test func knowsTheMethodsOfTheSpecification() {
        let metrics = WorkerMetrics()
        for name in ["tools/call", "server/discover", "Tools/call", "tools/cal", "tools/calls", "", "made-up"] {
            metrics.recordOperation(
                OperationMethod(Array(name.utf8).span), .none, tool: nil, nanoseconds: 15_000_000)
        }
        let family = Self.families([metrics], [])["mcp_server_operation_duration_seconds"]
        #expect(family?[["mcp_method_name": "tools/call"]]?.count == 1)
        #expect(family?[["mcp_method_name": "server/discover"]]?.count == 1)
        #expect(family?[["mcp_method_name": "_OTHER"]]?.count == 5)
        #expect(
            histogram(family, ["mcp_method_name": "tools/call"])?.counts == [0, 1] + [UInt64](repeating: 0, count: 13))
    }

    @Test func namesOfToolsAreBounded() {
        let names = ToolNames()
        var workers = [KnownTools(names), KnownTools(names)]
        func place(_ name: String, _ worker: Int = 0) -> ToolPlace { workers[worker].place(Array(name.utf8).span) }
        for index in 0..<ToolPlace.limit { #expect(place("tool\(index)", index % 2) == ToolPlace(index: index)) }
        // One more, and what is no name.
        for worker in 0...1 {
            for name in ["one-more", "", "a b", "=?base64?Zm9v?=", "ä", String(repeating: "x", count: 129), "a\nb"] {
                #expect(place(name, worker) == .other)
            }
            for index in 0..<ToolPlace.limit { #expect(place("tool\(index)", worker) == ToolPlace(index: index)) }
        }
        #expect(names.all.count == ToolPlace.limit)
        var fresh = KnownTools(ToolNames())
        #expect(fresh.place(Array(String(repeating: "x", count: 128).utf8).span) == ToolPlace(index: 0))
    }

    @Test func showsToolsWhereAsked() {
        let metrics = WorkerMetrics()
        let call = OperationMethod(Array("tools/call".utf8).span)
        metrics.recordOperation(call, .none, tool: ToolPlace(index: 0), nanoseconds: 1)
        metrics.recordOperation(call, .serverError, tool: .other, nanoseconds: 1)
        let family = Self.families([metrics], [], tools: ["add"])["mcp_server_operation_duration_seconds"]
        #expect(family?.samples.count == 2)
        #expect(family?[["mcp_method_name": "tools/call", "mcp_tool_name": "add"]]?.count == 1)
        #expect(
            family?[["mcp_method_name": "tools/call", "mcp_tool_name": "_OTHER", "error_type": "5xx"]]?.count == 1)
    }

    // MARK: Kinds

    @Test func knowsHandshakesAndFailures() {
        let metrics = WorkerMetrics()
        metrics.count(
            .handshake(
                HandshakeKind(version: "TLS 1.3", cipher: "TLS_AES_128_GCM_SHA256", alpn: "http/1.1", isResumed: true)))
        metrics.count(.handshake(HandshakeKind(version: "TLS 9", cipher: "new", alpn: "h9", isResumed: false)))
        metrics.count(.handshake(HandshakeKind(version: "TLS 1.2", cipher: "new", alpn: nil, isResumed: false)))
        for alert: UInt8 in [48, 120, 255] { metrics.count(.handshakeFailure(HandshakeFailure(alert: alert))) }
        for failure in [HandshakeFailure.timeout, .closed, .idle, .dropped, .webSocket, .local] {
            metrics.count(.handshakeFailure(failure))
        }
        let found = Self.families([metrics], [])
        let made = found["mcp_tunnel_tls_handshakes_total"]
        #expect(made?.samples.count == 3)
        #expect(
            made?[["version": "1.3", "cipher": "TLS_AES_128_GCM_SHA256", "alpn": "http/1.1", "resumed": "true"]]?.count
                == 1)
        let other: KeyValuePairs = ["version": "_OTHER", "cipher": "_OTHER", "alpn": "_OTHER", "resumed": "false"]
        #expect(made?[other]?.count == 1)
        #expect(made?[["version": "1.2", "cipher": "_OTHER", "resumed": "false"]]?.count == 1)
        let failed = found["mcp_tunnel_tls_handshake_failures_total"]
        #expect(
            failed?.samples.map { $0.label("alert") } == [
                "unknown_ca", "no_application_protocol", "_OTHER", "timeout", "closed", "idle", "dropped", "websocket",
                "local",
            ])
        #expect(failed?.samples.allSatisfy { $0.count == 1 } == true)
    }

    /// No two names of one label are the same, and no two counters lie on each other.
    @Test func everyKindHasItsOwnPlace() {
        func labels<Kind: MetricKind>(_ kind: Kind.Type) -> [String] { Kind.allCases.map(\.label) }
        for names in [
            labels(DialResult.self), labels(UpstreamFailure.self), labels(LookUpResult.self), labels(LimitHit.self),
            labels(CloseKind.self), labels(FarSideEvent.self), labels(OperationError.self),
        ] { #expect(Set(names).count == names.count) }
        var events: [WorkerEvent] = [.tunnel, .frameIn, .frameOut, .retry, .activeConnection, .poolHit]
        events += UpstreamPolicy.Refusal.allCases.map { .refusal($0) } + DialResult.allCases.map { .dial($0) }
        events += LimitHit.allCases.map { .limit($0) } + CloseKind.allCases.map { .close($0) }
        events += (0..<HandshakeKind.count).map { .handshake(HandshakeKind(place: $0)) }
        events += (0..<HandshakeFailure.count).map { .handshakeFailure(HandshakeFailure(place: $0)) }
        let metrics = WorkerMetrics()
        for event in FarSideEvent.allCases { metrics.saw(event, at: 99) }
        for (index, event) in events.enumerated() { metrics.count(event, UInt64(index + 100)) }
        for (index, event) in events.enumerated() { #expect(metrics[event] == UInt64(index + 100)) }
    }

    @Test(arguments: [
        (1000, "1000"), (1001, "1001"), (1005, "1005"), (1006, "1006"), (1007, "1007"), (1009, "1009"), (1014, "1014"),
        (1015, "_OTHER"), (3000, "_OTHER"), (4999, "_OTHER"),
    ]) func knowsCodes(_ code: UInt16, _ label: String) {
        #expect(CloseKind(code).label == label)
        #expect(CloseKind(nil).label == "1006")
    }

    @Test func lagIsCountedOnceATurn() {
        var lag = LagHistogram()
        for nanoseconds: UInt64 in [0, 100_000, 100_001, 1_000_000_001] { lag.record(nanoseconds) }
        var sum = LagHistogram()
        sum += lag
        sum += lag
        #expect(sum.value.counts == [4, 2] + [UInt64](repeating: 0, count: 11) + [2])
        #expect(abs(sum.value.sum - 2.000400004) < 0.0000001)
    }
}
