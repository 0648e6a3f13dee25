import Testing

@testable import TunnelCore

private typealias Pair = HPACKSamples.Pair

/// A run of blocks of RFC 7541 Appendix C: the bytes, the fields, and the size of the table after each.
struct HPACKExample: Sendable, CustomTestStringConvertible {
    var section: String
    var tableLimit = 4_096
    var blocks: [String]
    var sizes: [Int]
    var fields: [[(String, String)]]
    /// The blocks are what our encoder makes too.
    var isOurs = false

    var testDescription: String { section }
}

/// Every example of RFC 7541 Appendix C.
@Suite struct HPACKExamplesTests {
    static let requests = [
        [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")],
        [
            (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com"),
            ("cache-control", "no-cache"),
        ],
        [
            (":method", "GET"), (":scheme", "https"), (":path", "/index.html"), (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ],
    ]
    static let responses = [
        [
            (":status", "302"), ("cache-control", "private"), ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("location", "https://www.example.com"),
        ],
        [
            (":status", "307"), ("cache-control", "private"), ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("location", "https://www.example.com"),
        ],
        [
            (":status", "200"), ("cache-control", "private"), ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
            ("location", "https://www.example.com"), ("content-encoding", "gzip"),
            ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
        ],
    ]

    static let examples = [
        HPACKExample(
            section: "C.2.1", blocks: ["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"], sizes: [55],
            fields: [[("custom-key", "custom-header")]]),
        HPACKExample(
            section: "C.2.2", blocks: ["040c 2f73 616d 706c 652f 7061 7468"], sizes: [0],
            fields: [[(":path", "/sample/path")]]),
        HPACKExample(
            section: "C.2.3", blocks: ["1008 7061 7373 776f 7264 0673 6563 7265 74"], sizes: [0],
            fields: [[("password", "secret")]]),
        HPACKExample(section: "C.2.4", blocks: ["82"], sizes: [0], fields: [[(":method", "GET")]], isOurs: true),
        HPACKExample(
            section: "C.3",
            blocks: [
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", "8286 84be 5808 6e6f 2d63 6163 6865",
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            ], sizes: [57, 110, 164], fields: requests),
        HPACKExample(
            section: "C.4",
            blocks: [
                "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", "8286 84be 5886 a8eb 1064 9cbf",
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            ], sizes: [57, 110, 164], fields: requests, isOurs: true),
        HPACKExample(
            section: "C.5", tableLimit: 256,
            blocks: [
                """
                4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
                2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d
                """, "4803 3330 37c1 c0bf",
                """
                88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a
                6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d
                6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31
                """,
            ], sizes: [222, 222, 215], fields: responses),
        HPACKExample(
            section: "C.6", tableLimit: 256,
            blocks: [
                """
                4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d
                29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3
                """, "4883 640e ffc1 c0bf",
                """
                88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d
                d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106
                3d50 07
                """,
            ], sizes: [222, 222, 215], fields: responses, isOurs: true),
    ]

    @Test(arguments: examples) func decodes(_ example: HPACKExample) throws {
        var decoder = HPACKDecoder()
        var update = ByteBuffer()
        update.appendHPACK(integer: example.tableLimit, bits: 5, flags: 0x20)
        var prefix = update.array
        for (number, block) in example.blocks.enumerated() {
            let fields = try HPACKSamples.decode(prefix + HPACKSamples.hex(block), &decoder)
            #expect(fields == example.fields[number].map { Pair($0, $1) })
            #expect(decoder.tableSize == example.sizes[number])
            prefix = []
        }
    }

    /// The encoder makes the same blocks where the example uses Huffman's code and its table as we do.
    @Test(arguments: examples.filter(\.isOurs)) func encodes(_ example: HPACKExample) {
        var encoder = HPACKEncoder()
        encoder.setTableLimit(example.tableLimit)
        var prefix = example.tableLimit == 4_096 ? [] : HPACKSamples.hex("3fe1 01")
        for (number, block) in example.blocks.enumerated() {
            let encoded = HPACKSamples.encode(example.fields[number].map { Pair($0, $1) }, .incremental, &encoder)
            #expect(encoded == prefix + HPACKSamples.hex(block))
            #expect(encoder.tableSize == example.sizes[number])
            prefix = []
        }
    }

    /// C.2.3: the mark of a field that must not be indexed is kept, so that it can be passed on.
    @Test func keepsTheMarkOfASecret() throws {
        var decoder = HPACKDecoder()
        var list = HPACKFieldList()
        try decoder.decode(HPACKSamples.hex("1008 7061 7373 776f 7264 0673 6563 7265 74").span, into: &list)
        #expect(list.fields.map(\.isNeverIndexed) == [true])
        try decoder.decode(HPACKSamples.hex("040c 2f73 616d 706c 652f 7061 7468").span, into: &list)
        #expect(list.fields.map(\.isNeverIndexed) == [false])
    }

    /// C.1: integers.
    @Test(arguments: [
        (10, 5, "0a"), (1_337, 5, "1f9a0a"), (42, 8, "2a"), (31, 5, "1f00"), (30, 5, "1e"), (127, 7, "7f00"),
    ])
    func encodesIntegers(_ value: Int, _ bits: Int, _ code: String) {
        var out = ByteBuffer()
        out.appendHPACK(integer: value, bits: UInt8(bits), flags: 0)
        #expect(out.array == HPACKSamples.hex(code))
    }
}
