import Testing
import TunnelCore

@Suite struct YAMLCoreSchemaTests {
    /// The rows of YAML 1.2.2 §10.3.2, and what YAML 1.1 would have read otherwise.
    @Test(
        arguments: [
            ("", .null), ("~", .null), ("null", .null), ("Null", .null), ("NULL", .null), ("nULL", .string),
            ("true", .bool), ("True", .bool), ("TRUE", .bool), ("false", .bool), ("False", .bool), ("FALSE", .bool),
            ("tRUE", .string), ("yes", .string), ("on", .string), ("y", .string),
            ("0", .int), ("-0", .int), ("+12", .int), ("012", .int), ("0o17", .int), ("0x1F", .int),
            ("99999999999999999999", .int),
            ("0o8", .string), ("0o", .string), ("0x", .string), ("0xG", .string), ("-0x1", .string), ("+0o1", .string),
            ("1_000", .string), ("0b1", .string), ("1:30", .string), ("-", .string), ("+", .string),
            ("1.5", .float), ("-1.5e3", .float), (".5", .float), ("5.", .float), ("1e3", .float), ("1E-3", .float),
            (".inf", .float), ("-.Inf", .float), ("+.INF", .float), (".nan", .float), (".NaN", .float),
            (".NAN", .float),
            (".", .string), ("1e", .string), ("1e+", .string), ("e1", .string), (".e1", .string), ("1.5.2", .string),
            ("-.nan", .string), ("inf", .string), ("nan", .string), ("2001-12-14", .string), ("30s", .string),
            ("10.0.0.0", .string), ("1.2", .float),
        ] as [(String, YAMLCoreType)])
    func resolves(_ text: String, _ type: YAMLCoreType) {
        let mark = YAMLMark(line: 1, column: 1)
        #expect(YAMLNode(.scalar(text, .plain), at: mark).coreType == type)
        #expect(YAMLNode(.scalar(text, .doubleQuoted), at: mark).coreType == .string)
        #expect(YAMLNode(.scalar(text, .literal), at: mark).coreType == .string)
    }

    @Test func readsValues() {
        func plain(_ text: String) -> YAMLNode { YAMLNode(.scalar(text, .plain), at: YAMLMark(line: 1, column: 1)) }
        #expect(plain("TRUE").bool == true && plain("False").bool == false && plain("yes").bool == nil)
        #expect(
            plain("+12").int == 12 && plain("-012").int == -12 && plain("0o17").int == 15 && plain("0xfF").int == 255)
        #expect(plain("9223372036854775807").int == .max && plain("-9223372036854775808").int == .min)
        #expect(
            plain("9223372036854775808").int == nil && plain("0x8000000000000000").int == nil && plain("1.0").int == nil
        )
        #expect(
            plain("1.5e1").double == 15 && plain("5.").double == 5 && plain(".5").double == 0.5
                && plain("7").double == 7)
        #expect(plain("-.INF").double == -.infinity && plain(".nan").double?.isNaN == true && plain("x").double == nil)
        #expect(plain("99999999999999999999").double == 1e20)
        #expect(plain("~").isNull && !plain("0").isNull)
    }
}
