import Testing

@testable import mcp_proxy

@Suite struct JSONReaderTests {
    private static let accepted: [(String, JSON)] = [
        ("null", .null), ("true", true), (" false\r\n\t", false),
        ("0", 0), ("-0", .number("-0")), ("12.50e+3", .number("12.50e+3")), ("1E9", .number("1E9")),
        (#""""#, ""), (#""a b""#, "a b"), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"),
        (#""\u00e9\u0000""#, "é\u{0}"), (#""\uD83D\ude00""#, "😀"), ("\"é😀\"", "é😀"),
        ("[]", []), ("[ ]", []), ("[1, [2], {}]", [1, [2], [:]]),
        ("{}", [:]), (#"{ "a" : 1 , "b" : {"a": null} }"#, ["a": 1, "b": ["a": .null]]),
    ]

    @Test(arguments: accepted) func reads(_ text: String, _ value: JSON) {
        #expect(JSONReader.read(Array(text.utf8)) == value)
    }

    private static let refused: [String] = [
        "", " ", "nul", "nullx", "True", "tru", "1 2", "01", "+1", "-", ".5", "1.", "1e", "1e+", "0x1", "NaN",
        "\"", "\"a", "\"\u{1}\"", "\"\n\"", #""\x""#, #""\u12""#, #""\u12g4""#, #""\ud83d""#, #""\ud83dx""#,
        #""\ud83d\u0041""#, #""\ude00""#, "[", "]", "[1,]", "[,1]", "[1 2]", "{", "{}}", #"{"a"}"#, #"{"a":}"#,
        #"{"a":1,}"#, #"{a:1}"#, #"{"a":1 "b":2}"#, #"{"a":1,"a":2}"#, "'a'", "[1]//", "\u{FEFF}1",
    ]

    @Test(arguments: refused) func refuses(_ text: String) { #expect(JSONReader.read(Array(text.utf8)) == nil) }

    @Test func refusesWhatIsNotUTF8() { #expect(JSONReader.read([0x22, 0xC3, 0x22]) == nil) }

    @Test func depthIsLimited() {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        #expect(JSONReader.read(nested(JSONReader.maxDepth + 1)) != nil)
        #expect(JSONReader.read(nested(JSONReader.maxDepth + 2)) == nil)
    }

    /// Whatever is read is written such that it is read the same; a text cut short is refused or another number.
    @Test(arguments: accepted) func writesWhatItReads(_ text: String, _ value: JSON) {
        #expect(JSONReader.read(Array("\(value)".utf8)) == value)
        for count in 0..<text.utf8.count {
            if let cut = JSONReader.read(Array(text.utf8.prefix(count))) {
                if case .number = cut { continue }
                #expect(text.utf8.dropFirst(count).allSatisfy { [0x20, 0x0A, 0x0D, 0x09].contains($0) })
            }
        }
    }
}

@Suite struct JSONTests {
    @Test func findsMembers() {
        let value: JSON = ["a": ["b": "c"], "d": [1]]
        #expect(value["a"]?["b"]?.text == "c")
        #expect(value["d"]?.elements == [1])
        #expect(value["e"] == nil && value["d"]?["a"] == nil && value.text == nil && value.elements == nil)
    }

    @Test func escapesWhatMustBe() {
        #expect("\(JSON.string("\"\\\n\u{1}é/"))" == #""\"\\\n\u0001é/""#)
    }
}
