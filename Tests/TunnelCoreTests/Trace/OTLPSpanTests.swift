import Testing
import TunnelCore

/// The bytes as OTLP's JSON has them. That OpenTelemetry's own parser takes them is in the end-to-end tests.
@Suite struct OTLPSpanTests {
    private func facts(parent: SpanID?, isRemote: Bool = true) throws -> OTLPSpanWriter.Facts {
        OTLPSpanWriter.Facts(
            traceID: try #require(TraceID(high: 0x0AF7_6519_16CD_43DD, low: 0x8448_EB21_1C80_319C)),
            spanID: try #require(SpanID(1)), parent: parent, isParentRemote: isRemote, flags: 1, kind: .server,
            start: 1_800_000_000_000_000_001, end: .max)
    }

    private let none: [UInt8] = []
    private let ids = #""traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"0000000000000001""#
    private let times = #""startTimeUnixNano":"1800000000000000001","endTimeUnixNano":"18446744073709551615""#

    @Test func writesASpan() throws {
        var writer = OTLPSpanWriter()
        writer.begin(Array("POST".utf8).span, try facts(parent: SpanID(0xFF)))
        writer.attribute("url.path", "/m\"\n\u{E9}")
        writer.attribute("http.response.status_code", 200)
        writer.end(failed: false)
        #expect(writer.spans == 1)
        let expected =
            "{\(ids),\"parentSpanId\":\"00000000000000ff\",\"flags\":769,\"name\":\"POST\",\"kind\":2,\(times)"
            + #","attributes":[{"key":"url.path","value":{"stringValue":"/m\"\né"}},"#
            + #"{"key":"http.response.status_code","value":{"intValue":"200"}}],"status":{}}"#
        #expect(String(decoding: writer.bytes.array, as: UTF8.self) == expected)
    }

    @Test func joinsSpansAndForgetsThem() throws {
        var writer = OTLPSpanWriter()
        for isRemote in [true, false] {
            writer.begin(none.span, try facts(parent: isRemote ? nil : SpanID(2), isRemote: isRemote))
            writer.end(failed: true)
        }
        let text = String(decoding: writer.bytes.array, as: UTF8.self)
        let end = #","name":"","kind":2,\#(times),"attributes":[],"status":{"code":2}}"#
        #expect(text == "{\(ids),\"flags\":257\(end),{\(ids),\"parentSpanId\":\"0000000000000002\",\"flags\":257\(end)")
        #expect(writer.spans == 2)
        writer.removeAll()
        #expect(writer.bytes.isEmpty && writer.spans == 0)
    }

    @Test func cutsLongTexts() throws {
        var writer = OTLPSpanWriter()
        for (count, end) in [(OTLPSpanWriter.maxText, "x"), (OTLPSpanWriter.maxText + 1, "x\u{2026}")] {
            writer.removeAll()
            writer.begin(none.span, try facts(parent: nil))
            writer.attribute("k", String(repeating: "x", count: count))
            writer.end(failed: false)
            #expect(String(decoding: writer.bytes.array, as: UTF8.self).hasSuffix("\(end)\"}}],\"status\":{}}"))
        }
    }

    @Test func wrapsThemInARequest() {
        let envelope = OTLPEnvelope(
            resource: [("service.name", "a"), ("k", "\"v\""), ("service.name", "b")], scope: ("mcp-proxy", "1.2.3"))
        let start =
            #"{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":{"stringValue":"\"v\""}},"#
            + #"{"key":"service.name","value":{"stringValue":"b"}}]},"#
            + #""scopeSpans":[{"scope":{"name":"mcp-proxy","version":"1.2.3"},"spans":["#
        for (parts, inside) in [([], ""), (["{1}"], "{1}"), (["{1}", "{2},{3}"], "{1},{2},{3}")] {
            let body = envelope.body(parts.map { Array($0.utf8) })
            #expect(String(decoding: body, as: UTF8.self) == start + inside + "]}]}]}")
        }
    }
}
