extension MetricsSum {
    /// What was counted, in the order of docs/metrics.md.
    ///
    /// - Parameters:
    ///   - tools: their names, in the order of their places; `nil` where they are not shown.
    ///   - wallClock: turns a time of the loops' clock into seconds since 1970.
    package func families(tools: [String]?, wallClock: (UInt64) -> Double) -> [MetricFamily] {
        routeFamilies(wallClock) + upstreamFamilies() + tunnelFamilies(wallClock) + [
            MetricFamily(
                "mcp_server_operation_duration_seconds", .histogram,
                "Operations of MCP, by the Mcp-Method header of version 2026-07-28.", operations(tools))
        ]
    }

    // MARK: Requests

    private func routeFamilies(_ wallClock: (UInt64) -> Double) -> [MetricFamily] {
        [
            MetricFamily(
                "http_server_request_duration_seconds", .histogram,
                "Requests that are over, from their head to the end of the response.", durations(wallClock)),
            MetricFamily(
                "http_server_time_to_first_byte_seconds", .histogram,
                "From a request's head to the head of its final response.",
                routes.indices.compactMap { index in
                    let start = index * RouteLayout.exemplar + RouteLayout.firstByte
                    let histogram = HistogramValue(routeWords[start..<start + SeriesLayout.count], .request)
                    return histogram.count > 0 ? MetricSample(routeLabels(index), .histogram(histogram)) : nil
                }),
            perRoute(
                "http_server_active_requests", .gauge, "Requests under way.", RouteLayout.active),
            perRoute(
                "http_server_request_body_bytes_total", .counter, "Bytes of request bodies passed to upstreams.",
                RouteLayout.bytesUp),
            perRoute(
                "http_server_response_body_bytes_total", .counter, "Bytes of response bodies passed from upstreams.",
                RouteLayout.bytesDown),
            perRoute(
                "mcp_tunnel_event_streams_open", .gauge, "Responses under way that are event streams.",
                RouteLayout.openEventStreams),
            MetricFamily(
                "mcp_tunnel_upstream_failures_total", .counter, "Requests that got no whole response, by cause.",
                routes.indices.flatMap { index in
                    UpstreamFailure.allCases.compactMap { failure in
                        let count = routeWords[index * RouteLayout.exemplar + RouteLayout.failures + failure.rawValue]
                        return count == 0
                            ? nil
                            : MetricSample(
                                routeLabels(index) + [MetricLabel("error_type", failure.label)], .count(count))
                    }
                }),
        ]
    }

    private func routeLabels(_ index: Int) -> [MetricLabel] {
        let route = MetricLabel("route", routes[index].name)
        return routes[index].tunnel.map { [MetricLabel("tunnel", $0), route] } ?? [route]
    }

    private func perRoute(
        _ name: String, _ kind: MetricFamily.Kind, _ help: String, _ word: Int
    ) -> MetricFamily {
        MetricFamily(
            name, kind, help,
            routes.indices.map { index in
                let count = routeWords[index * RouteLayout.exemplar + word]
                return MetricSample(
                    routeLabels(index), kind == .gauge ? .number(Double(Int64(bitPattern: count))) : .count(count))
            })
    }

    private func durations(_ wallClock: (UInt64) -> Double) -> [MetricSample] {
        let count = RouteLayout.count - RouteLayout.places
        var samples: [MetricSample] = []
        for index in routes.indices {
            for place in 0..<count where places[index * count + place] > 0 {
                var histogram = HistogramValue(words(of: places[index * count + place]), .request)
                if let exemplar = exemplars[index], exemplar.place == place {
                    histogram.exemplar = HistogramValue.Exemplar(
                        traceID: traceDigits(exemplar.traceID.high) + traceDigits(exemplar.traceID.low),
                        value: Double(exemplar.nanoseconds) / 1_000_000_000, timestamp: wallClock(exemplar.at))
                }
                samples.append(
                    MetricSample(
                        routeLabels(index) + [
                            MetricLabel("method", RouteLayout.methods[place / RouteLayout.statuses.count]),
                            MetricLabel("status", RouteLayout.statuses[place % RouteLayout.statuses.count]),
                        ], .histogram(histogram)))
            }
        }
        return samples
    }

    private func words(of place: Int) -> ArraySlice<UInt64> {
        series[(place - 1) * SeriesLayout.count..<place * SeriesLayout.count]
    }

    // MARK: Operations

    private func operations(_ tools: [String]?) -> [MetricSample] {
        let errors = OperationError.allCases
        var samples: [MetricSample] = []
        for method in 0..<OperationMethod.count {
            for error in errors where operationPlaces[method * errors.count + error.rawValue] > 0 {
                samples.append(
                    operation(operationPlaces[method * errors.count + error.rawValue], method, error, tool: nil))
            }
        }
        guard let tools else { return samples }
        for tool in 0..<ToolPlace.count {
            for error in errors where toolPlaces[tool * errors.count + error.rawValue] > 0 {
                let name = tool < tools.count ? tools[tool] : "_OTHER"
                samples.append(
                    operation(
                        toolPlaces[tool * errors.count + error.rawValue], OperationMethod.toolCall, error, tool: name))
            }
        }
        return samples
    }

    private func operation(_ place: Int, _ method: Int, _ error: OperationError, tool: String?) -> MetricSample {
        var labels = [
            MetricLabel("mcp_method_name", OperationMethod(place: method).label),
            MetricLabel("error_type", error.label),
        ]
        if let tool { labels.append(MetricLabel("mcp_tool_name", tool)) }
        return MetricSample(labels, .histogram(HistogramValue(words(of: place), .operation)))
    }

    // MARK: Upstreams

    private func upstreamFamilies() -> [MetricFamily] {
        [
            byKind(
                "mcp_tunnel_upstream_dials_total", "Upstream connections opened or not, by result.", "result",
                DialResult.self, Layout.dials),
            plain(
                "mcp_tunnel_upstream_retries_total", "Requests sent again because a kept connection had ended.", .retry),
            MetricFamily(
                "mcp_tunnel_upstream_address_refusals_total", .counter,
                "Requests refused because no address of the upstream may be dialled, by rule.",
                UpstreamPolicy.Refusal.allCases.map { reason in
                    MetricSample(
                        [MetricLabel("reason", reason.rawValue)],
                        .count(words[WorkerEvent.refusal(reason).place]))
                }),
        ]
    }

    // MARK: Tunnels

    private func tunnelFamilies(_ wallClock: (UInt64) -> Double) -> [MetricFamily] {
        [
            plain("mcp_tunnel_tunnels_total", "WebSocket connections accepted.", .tunnel),
            MetricFamily(
                "mcp_tunnel_websocket_frames_total", .counter, "WebSocket frames, those of control among them.",
                [
                    MetricSample([MetricLabel("direction", "in")], .count(words[WorkerEvent.frameIn.place])),
                    MetricSample([MetricLabel("direction", "out")], .count(words[WorkerEvent.frameOut.place])),
                ]),
            byKind(
                "mcp_tunnel_websocket_closes_total", "WebSocket connections that ended, by the code of RFC 6455.",
                "code",
                CloseKind.self, Layout.closes),
            MetricFamily(
                "mcp_tunnel_tls_handshakes_total", .counter, "Inner TLS handshakes, by what was agreed on.",
                (0..<HandshakeKind.count).compactMap { place in
                    let count = words[Layout.handshakes + place]
                    return count > 0 ? MetricSample(HandshakeKind(place: place).labels, .count(count)) : nil
                }),
            MetricFamily(
                "mcp_tunnel_tls_handshake_failures_total", .counter,
                "Inner TLS handshakes that failed, by alert or by what happened without one.",
                (0..<HandshakeFailure.count).compactMap { place in
                    let count = words[Layout.failures + place]
                    let label = MetricLabel("alert", HandshakeFailure(place: place).label)
                    return count > 0 ? MetricSample([label], .count(count)) : nil
                }),
            byKind(
                "mcp_tunnel_limit_hits_total", "Limits of the configuration that were reached.", "limit", LimitHit.self,
                Layout.limits),
            byKind(
                "mcp_tunnel_http2_abuse_total", "HTTP/2 connections ended for what the peer did too often.", "kind",
                HTTP2Abuse.self, Layout.abuses),
            MetricFamily(
                "mcp_tunnel_far_side_last_seen_timestamp_seconds", .gauge,
                "When the far side was last seen, since 1970; absent until it was.",
                FarSideEvent.allCases.compactMap { event in
                    let time = lastSeen(event)
                    return time.map { time in
                        MetricSample([MetricLabel("event", event.label)], .number(wallClock(time)))
                    }
                }),
        ]
    }

    /// When the far side was last seen to do this, by the loops' clock.
    package func lastSeen(_ event: FarSideEvent) -> UInt64? {
        let time = words[Layout.lastSeen + event.rawValue]
        return time > 0 ? time : nil
    }

    /// How often that happened.
    package func count(_ event: WorkerEvent) -> UInt64 { words[event.place] }

    private func plain(_ name: String, _ help: String, _ event: WorkerEvent) -> MetricFamily {
        MetricFamily(name, .counter, help, [MetricSample([], .count(words[event.place]))])
    }

    private func byKind<Kind: MetricKind>(
        _ name: String, _ help: String, _ label: String, _ kinds: Kind.Type, _ first: Int
    ) -> MetricFamily {
        MetricFamily(
            name, .counter, help,
            Kind.allCases.map { kind in
                MetricSample([MetricLabel(label, kind.label)], .count(words[first + kind.rawValue]))
            })
    }
}

extension HistogramValue {
    /// The words of a series.
    init(_ words: ArraySlice<UInt64>, _ bounds: HistogramBounds) {
        let start = words.startIndex
        self.init(
            bounds: bounds, counts: Array(words[start...start + bounds.nanoseconds.count]),
            sum: Double(words[start + SeriesLayout.buckets]) / 1_000_000_000)
    }
}

private func traceDigits(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
}
