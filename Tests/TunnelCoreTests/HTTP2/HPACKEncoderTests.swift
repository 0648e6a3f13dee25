import Testing

@testable import TunnelCore

private typealias Pair = HPACKSamples.Pair

@Suite struct HPACKEncoderTests {
    private static func encode(_ pairs: [Pair], _ encoder: inout HPACKEncoder) -> [UInt8] {
        HPACKSamples.encode(pairs, .automatic, &encoder)
    }

    /// RFC 7541 §7.1.3: secrets are marked and in no table, whatever their case.
    @Test(arguments: [
        "authorization", "Authorization", "cookie", "set-cookie", "Proxy-Authorization", "mcp-session-id",
        "Mcp-Session-Id",
        "x-api-key", "x-auth-token",
    ]) func secretsAreNeverIndexed(_ name: String) throws {
        var encoder = HPACKEncoder()
        let block = Self.encode([Pair(name, "s3cret")], &encoder)
        #expect(block[0] & 0xF0 == 0x10)
        #expect(encoder.tableSize == 0)
        var decoder = HPACKDecoder()
        var list = HPACKFieldList()
        try decoder.decode(block.span, into: &list)
        #expect(HPACKSamples.pairs(list) == [Pair(name.lowercased(), "s3cret")])
        #expect(list.fields[0].isNeverIndexed)
    }

    /// What changes with each message stays out of the table, what stays the same is one byte the second time.
    @Test func whatRepeatsIsIndexed() {
        var encoder = HPACKEncoder()
        let once = [Pair("content-type", "application/json"), Pair("x-custom", "1")]
        #expect(Self.encode(once, &encoder).count > 20)
        #expect(Self.encode(once, &encoder) == [0xBF, 0xBE])
        let size = encoder.tableSize
        let never = [":path", "content-length", "etag", "location", "x-request-id", "traceparent"].map {
            Pair($0, "12345")
        }
        #expect(Self.encode(never, &encoder).count > 6)
        #expect(encoder.tableSize == size)
        // A name is found in either table: a value of one byte and its length, no name.
        #expect(Self.encode([Pair("x-custom", "2")], &encoder) == [0x7E, 0x81, 0x17])
    }

    @Test func aFieldAlmostAsLargeAsTheTableIsNotAdded() {
        var encoder = HPACKEncoder()
        let value = String(repeating: "x", count: 3_072 - 33)
        _ = Self.encode([Pair("a", value)], &encoder)
        #expect(encoder.tableSize == 3_072)
        _ = Self.encode([Pair("b", value + "x")], &encoder)
        #expect(encoder.tableSize == 3_072)
    }

    /// §4.2: the smallest size since the last block and the last one are told, once.
    @Test func tellsTableSizes() {
        var encoder = HPACKEncoder()
        func begin() -> [UInt8] {
            var out = ByteBuffer()
            encoder.begin(into: &out)
            return out.array
        }
        #expect(begin() == [])
        encoder.setTableLimit(4_096)
        #expect(begin() == [])
        encoder.setTableLimit(100)
        encoder.setTableLimit(0)
        encoder.setTableLimit(50)
        #expect(begin() == HPACKSamples.hex("20 3f 13"))
        #expect(begin() == [])
        // The peer may allow more than we use.
        encoder.setTableLimit(1 << 20)
        #expect(begin() == HPACKSamples.hex("3f e1 1f"))
        var small = HPACKEncoder(sizeLimit: 0)
        #expect(HPACKSamples.encode([Pair("a", "1")], .incremental, &small) == HPACKSamples.hex("20 00 81 1f 81 0f"))
        #expect(small.tableSize == 0)
    }

    /// Both ends stay in step through thousands of evictions and table sizes.
    @Test func staysInStep() throws {
        var random = SystemRandomNumberGenerator()
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        let names = (0..<60).map { "name-\($0)" } + ["date", ":status", "cookie", "via", "server"]
        for round in 0..<3_000 {
            if round % 50 == 49 {
                encoder.setTableLimit([0, 40, 200, 1_000, 4_096].randomElement(using: &random) ?? 0)
            }
            let pairs = (0..<Int.random(in: 0...8, using: &random)).map { _ in
                Pair(
                    names.randomElement(using: &random) ?? "",
                    String(
                        repeating: "v",
                        count: Int.random(in: 0...Int.random(in: 1...200, using: &random), using: &random)))
            }
            let indexing: [HPACKIndexing] = [.automatic, .incremental, .none, .never]
            let block = HPACKSamples.encode(pairs, indexing[round % 4], &encoder)
            #expect(try HPACKSamples.decode(block, &decoder) == pairs)
            #expect(encoder.tableSize == decoder.tableSize)
        }
    }
}
