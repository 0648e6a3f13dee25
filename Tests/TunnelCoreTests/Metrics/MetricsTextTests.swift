import Testing
import TunnelCore

@Suite struct MetricsTextTests {
    static let families = [
        MetricFamily(
            "requests_total", .counter, "Requests, \"all\" of\nthem\\.",
            [
                MetricSample([MetricLabel("route", "a\"b\\c\nd"), MetricLabel("status", "2xx")], .count(.max)),
                MetricSample([], .count(0)),
            ]),
        MetricFamily("age_seconds", .gauge, "Age.", [MetricSample([], .number(0.25))]),
        MetricFamily(
            "duration_seconds", .histogram, "Durations.",
            [
                MetricSample(
                    [MetricLabel("route", "r")],
                    .histogram(
                        HistogramValue(
                            bounds: .request, counts: [2, 1] + [UInt64](repeating: 0, count: 16) + [4], sum: 1300.5,
                            exemplar: HistogramValue.Exemplar(
                                traceID: "0af7651916cd43dd8448eb211c80319c", value: 0.0075, timestamp: 1_790_000_000.5)
                        )))
            ]),
    ]

    private func text(_ format: MetricsText.Format) -> [String] {
        String(decoding: MetricsText(format).write(Self.families), as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    @Test func writesTheFormatOfPrometheus() {
        let lines = text(.prometheus)
        #expect(
            lines.prefix(6) == [
                #"# HELP requests_total Requests, "all" of\nthem\\."#, "# TYPE requests_total counter",
                #"requests_total{route="a\"b\\c\nd",status="2xx"} 18446744073709551615"#, "requests_total 0",
                "# HELP age_seconds Age.", "# TYPE age_seconds gauge",
            ])
        #expect(lines.contains("age_seconds 0.25"))
        #expect(lines.contains(#"duration_seconds_bucket{route="r",le="0.005"} 2"#))
        #expect(lines.contains(#"duration_seconds_bucket{route="r",le="0.01"} 3"#))
        #expect(lines.contains(#"duration_seconds_bucket{route="r",le="300"} 3"#))
        #expect(
            lines.suffix(4) == [
                #"duration_seconds_bucket{route="r",le="+Inf"} 7"#, #"duration_seconds_sum{route="r"} 1300.5"#,
                #"duration_seconds_count{route="r"} 7"#, "",
            ])
        #expect(!lines.contains { $0.contains("trace_id") || $0.contains("EOF") })
    }

    @Test func writesOpenMetrics() {
        let lines = text(.openMetrics)
        #expect(
            lines.prefix(3) == [
                #"# HELP requests Requests, \"all\" of\nthem\\."#, "# TYPE requests counter",
                #"requests_total{route="a\"b\\c\nd",status="2xx"} 18446744073709551615"#,
            ])
        #expect(lines.suffix(2) == ["# EOF", ""])
        // On the line of the bucket that it fell into, and on no other.
        let marked = lines.filter { $0.contains("trace_id") }
        #expect(
            marked == [
                #"duration_seconds_bucket{route="r",le="0.01"} 3 # {trace_id="0af7651916cd43dd8448eb211c80319c"} 0.0075 1790000000.5"#
            ])
        #expect(lines.contains(#"duration_seconds_bucket{route="r",le="300.0"} 3"#))
    }

    static let accepts: [(String, MetricsText.Format)] = [
        ("", .prometheus), ("text/plain", .prometheus), ("*/*", .prometheus), ("text/html, */*;q=0.1", .prometheus),
        ("application/openmetrics-text", .openMetrics),
        // As Prometheus asks.
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
                + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", .openMetrics
        ),
        ("application/openmetrics-text; version=0.0.1", .prometheus),
        ("text/plain;q=0.9, application/openmetrics-text;q=0.2", .prometheus),
        ("application/openmetrics-text;q=0", .prometheus), ("application/openmetrics-text;q=x", .prometheus),
        (";;,,=,q=", .prometheus),
    ]
    @Test(arguments: accepts) func choosesByAccept(_ accept: String, _ format: MetricsText.Format) {
        #expect(MetricsText.Format.accepted(by: accept) == format)
    }

    /// Whatever the pieces, together they are the whole.
    @Test(arguments: [1, 40, 200, 1000, 100_000]) func writesInPieces(_ size: Int) {
        for format in MetricsText.Format.allCases {
            let text = MetricsText(format)
            var buffer = ByteBuffer()
            var (place, whole, pieces) = (MetricsText.Place(), [UInt8](), 1)
            while text.append(Self.families, from: &place, atLeast: size, to: &buffer) {
                whole += buffer.array
                buffer.removeAll()
                pieces += 1
            }
            whole += buffer.array
            #expect(whole == text.write(Self.families))
            #expect(size > 1 || pieces == 5)
        }
    }

    @Test func findsASampleByItsLabels() {
        #expect(Self.families[0][["status": "2xx", "route": "a\"b\\c\nd"]]?.count == .max)
        #expect(Self.families[0][["status": "2xx"]] == nil)
        #expect(Self.families[0][[:]]?.count == 0 && Self.families[0][["route": ""]]?.count == 0)
        #expect(Self.families[2][["route": "r"]]?.count == 7)
    }

    @Test func numbersAreReadBackAsTheSame() {
        for number in [0, -1, 0.1, 1e-9, 1e300, 123_456_789.125, -0.5, 9_007_199_254_740_992] {
            let family = MetricFamily("x", .gauge, "X.", [MetricSample([], .number(number))])
            let line = String(decoding: MetricsText(.prometheus).write([family]), as: UTF8.self).split(separator: "\n")[
                2]
            #expect(Double(line.dropFirst(2)) == number)
        }
        let odd = MetricFamily(
            "x", .gauge, "X.", [Double.nan, .infinity, -.infinity].map { MetricSample([], .number($0)) })
        let text = String(decoding: MetricsText(.prometheus).write([odd]), as: UTF8.self)
        #expect(text.hasSuffix("x NaN\nx +Inf\nx -Inf\n"))
    }
}
