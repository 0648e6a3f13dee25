import Testing
import TunnelCore

private struct Sample: Equatable {
    var name = "", level = Level.low, count = 1, flag = false, wait = Duration.seconds(90)
    var note: String?
    var list = ["x"]
    var inner = Inner()
    struct Inner: Equatable { var count = 2, deep = Deep() }
    struct Deep: Equatable { var file: String? }
    enum Level: String, CaseIterable, ConfigurationValue { case low, middle, high }

    static var fields: [ConfigurationField<Sample>] {
        [
            ConfigurationField("name", \.name, isRequired: true),
            ConfigurationField("level", \.level, needsRestart: true), ConfigurationField("count", \.count),
            ConfigurationField("flag", \.flag), ConfigurationField("wait", \.wait), ConfigurationField("note", \.note),
            ConfigurationField("list", \.list),
            ConfigurationField("inner.count", \.inner.count, needsRestart: true),
            ConfigurationField("inner.deep.file", \.inner.deep.file),
        ]
    }
}

private func decode(_ text: String) throws -> (Sample, [String]) {
    var sample = Sample()
    var decoder = ConfigurationDecoder(file: "f")
    decoder.decode(try YAMLNode.parse(Array(text.utf8), allowDuplicateKeys: true), Sample.fields, into: &sample)
    return (sample, decoder.diagnostics.map(\.description))
}

@Suite struct ConfigurationDecoderTests {
    @Test func fillsEveryType() throws {
        let (sample, problems) = try decode(
            "name: n\nlevel: high\ncount: 0x10\nflag: TRUE\nwait: 1h30m\nnote: 1.2\nlist: [a, 'b', 3]\ninner:\n  count: 7\n  deep: {file: /x}\n"
        )
        #expect(problems == [])
        var expected = Sample()
        expected = Sample(
            name: "n", level: .high, count: 16, flag: true, wait: .seconds(5_400), note: "1.2", list: ["a", "b", "3"])
        expected.inner = .init(count: 7, deep: .init(file: "/x"))
        #expect(sample == expected)
    }

    /// Null is as good as absent, as in Go; so Helm may render a section without content.
    @Test func leavesDefaults() throws {
        let (sample, problems) = try decode("name: n\ncount:\nwait: ~\ninner: null\nnote: \"\"\n")
        #expect(problems == [] && sample == Sample(name: "n"))
        #expect(try decode("{\"name\": \"n\", \"inner\": {\"deep\": {}}}").0 == Sample(name: "n"))
    }

    @Test(arguments: [
        ("name: [a]", "f:1:7: name: cannot unmarshal !!seq into string (write a string)"),
        ("name: {a: b}", "f:1:7: name: cannot unmarshal !!map into string (write a string)"),
        (
            "name: n\ncount: abc",
            "f:2:8: count: cannot unmarshal !!str `abc` into int (write a whole number, without quotes or unit)"
        ),
        (
            "name: n\ncount: \"1\"",
            "f:2:8: count: cannot unmarshal !!str `1` into int (write a whole number, without quotes or unit)"
        ),
        (
            "name: n\ncount: 1.5",
            "f:2:8: count: cannot unmarshal !!float `1.5` into int (write a whole number, without quotes or unit)"
        ),
        (
            "name: n\ncount: 9223372036854775808",
            "f:2:8: count: cannot unmarshal !!int `9223372036854775808` into int (write a whole number, without quotes or unit)"
        ),
        (
            "name: n\nflag: yES",
            "f:2:7: flag: cannot unmarshal !!str `yES` into bool (write true or false, without quotes)"
        ),
        (
            "name: n\nflag: \"true\"",
            "f:2:7: flag: cannot unmarshal !!str `true` into bool (write true or false, without quotes)"
        ),
        ("name: n\nflag: 1", "f:2:7: flag: cannot unmarshal !!int `1` into bool (write true or false, without quotes)"),
        (
            "name: n\nwait: 30",
            "f:2:7: wait: missing unit in duration \"30\" (write a number with a unit, such as 30s or 1h30m)"
        ),
        (
            "name: n\nwait: [1s]",
            "f:2:7: wait: cannot unmarshal !!seq into duration (write a number with a unit, such as 30s or 1h30m)"
        ),
        ("name: n\nlevel: hihg", "f:2:8: level: unknown value \"hihg\" (did you mean high?)"),
        ("name: n\nlevel: verbose", "f:2:8: level: unknown value \"verbose\" (write low, middle or high)"),
        ("name: n\nlevel: {}", "f:2:8: level: cannot unmarshal !!map into string (write low, middle or high)"),
        ("name: n\nlist: a", "f:2:7: list: cannot unmarshal !!str `a` into []string (write a list: [a, b])"),
        ("name: n\nlist:\n- a\n- [b]", "f:4:3: list[1]: cannot unmarshal !!seq into string (write a string)"),
        ("name: n\ninner: [a]", "f:2:8: inner: cannot unmarshal !!seq into struct (write 'key: value' lines)"),
        (
            "name: n\ninner:\n  deep: 1",
            "f:3:9: inner.deep: cannot unmarshal !!int `1` into struct (write 'key: value' lines)"
        ),
        ("- a", "f:1:1: cannot unmarshal !!seq into struct (write 'key: value' lines)"),
        ("name: n\nnme: x", "f:2:1: nme: unknown key (did you mean 'name'?)"),
        ("name: n\ndeep: x", "f:2:1: deep: unknown key (did you mean 'inner.deep'?)"),
        ("name: n\ninner: {flag: true}", "f:2:9: inner.flag: unknown key (it belongs to the top level)"),
        ("name: n\ninner: {zzz: true}", "f:2:9: inner.zzz: unknown key (known keys here: count, deep)"),
        ("name: n\ninner.count: 1", "f:2:1: inner.count: unknown key (write it below 'inner:')"),
        ("name: n\ncount: 1\ncount: 2", "f:3:1: count: duplicate key (keep one of the two, the first is on line 2)"),
        (
            "name: n\ninner:\n  count: 1\n  'count': 2",
            "f:4:3: inner.count: duplicate key (keep one of the two, the first is on line 3)"
        ),
        (
            "name: n\nzzzz\\x: 1",
            "f:2:1: zzzz\\x: unknown key (known keys here: name, level, count, flag, wait, note, list, inner)"
        ),
        (
            "name: n\n\"a\\nb\": 1",
            "f:2:1: a\\u{a}b: unknown key (known keys here: name, level, count, flag, wait, note, list, inner)"
        ),
        ("count: 1", "f:1:1: name: missing, and required (set it)"),
        ("", "f:1:1: name: missing, and required (set it)"), ("name:", "f:1:1: name: missing, and required (set it)"),
    ])
    func reports(_ document: String, _ problem: String) throws {
        #expect(try decode(document).1 == [problem])
    }

    /// Go's YAML package takes these where a field is a boolean, and no other spelling.
    @Test(arguments: [
        (["true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "'yes'", "\"On\""], true),
        (["false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF", "'n'", "\"OFF\""], false),
        (["yES", "oN", "t", "T", "1", "'true'", "\"false\"", "yes!", "''"], nil),
    ])
    func takesTheWordsOfYAML1_1(_ spellings: [String], _ value: Bool?) throws {
        for spelling in spellings {
            let (sample, problems) = try decode("name: n\nflag: \(spelling)")
            #expect(problems.isEmpty == (value != nil), "\(spelling)")
            #expect(value == nil || sample.flag == value, "\(spelling)")
        }
        // A text stays what it is.
        #expect(try decode("name: yes\nlist: [no, on]").0 == Sample(name: "yes", list: ["no", "on"]))
    }

    @Test(arguments: [
        ("name: ${NAME}", ["f:1:7: name: variables are not expanded: \"${NAME}\""]),
        ("name: n\nnote: /data/${A}/x", ["f:2:7: note: variables are not expanded: \"${A}\""]),
        ("name: n\ncount: \"${N}\"", ["f:2:8: count: variables are not expanded: \"${N}\""]),
        ("name: n\nwait: '${W:-30s}'", ["f:2:7: wait: variables are not expanded: \"${W:-30s}\""]),
        (
            "name: n\nlist: [a, '${B}', '${C}']",
            [
                "f:2:11: list[1]: variables are not expanded: \"${B}\"",
                "f:2:19: list[2]: variables are not expanded: \"${C}\"",
            ]
        ),
        ("name: n\nlist: {'${D}': x}", ["f:2:8: list.${D}: variables are not expanded: \"${D}\""]),
        ("name: n\ninner:\n  deep: {file: '${E}'}", ["f:3:16: inner.deep.file: variables are not expanded: \"${E}\""]),
    ])
    func tellsThatVariablesAreNotExpanded(_ document: String, _ expected: [String]) throws {
        let remedy = " (write the value itself, or have a shell or envsubst make the file)"
        #expect(try decode(document).1 == expected.map { $0 + remedy })
    }

    @Test(arguments: ["$NAME", "${", "}${", "$ {A}", "a$", "{A}"]) func leavesOtherDollarsAlone(_ text: String) throws {
        #expect(try decode("name: '\(text)'").0 == Sample(name: text))
    }

    @Test func reportsEverythingAtOnce() throws {
        let (_, problems) = try decode("nam: x\ncount: x\ninner:\n  count: [1]\n  cuont: 1\nflag: 1\nflag: no\n")
        #expect(problems.count == 7)
    }

    @Test func keepsTheFirstOfDuplicates() throws {
        #expect(try decode("name: a\nname: b\n").0.name == "a")
    }

    @Test func boundsTheReport() throws {
        let n = ConfigurationDecoder.maxDiagnostics
        for extra in [0, 1, 49_000] {
            let text = "name: n\n" + (0..<n + extra).map { "q\($0): 1\n" }.joined()
            #expect(try decode(text).1.count == n)
        }
        #expect(try decode("name: n\n" + (0..<n - 1).map { "q\($0): 1\n" }.joined()).1.count == n - 1)
        // So do reports of any other kind.
        var decoder = ConfigurationDecoder(file: nil)
        for number in 0...n { decoder.report("p", remedy: "r", field: "f\(number)", at: nil) }
        #expect(decoder.diagnostics.count == n)
    }

    @Test func marksWhatItRead() throws {
        var sample = Sample()
        var decoder = ConfigurationDecoder(file: nil)
        decoder.decode(try parse("name: n\nlist:\n  - a\n  - b\ninner: {count: 1}\n"), Sample.fields, into: &sample)
        #expect(decoder.marks["list[1]"] == YAMLMark(line: 4, column: 5))
        #expect(decoder.marks["inner.count"] == YAMLMark(line: 5, column: 16))
        #expect(decoder.marks["inner"] == YAMLMark(line: 5, column: 8) && decoder.marks["count"] == nil)
        decoder.report("p", remedy: "r", field: "inner", at: nil)
        #expect(decoder.hasFailed("inner") && decoder.hasFailed("inner.deep.file") && !decoder.hasFailed("innermost"))
    }
}

@Suite struct ConfigurationFieldTests {
    @Test func describesItself() {
        let sample = Sample()
        let rows = Sample.fields.map { "\($0.name) \($0.typeName) \($0.shown(sample))" }
        #expect(
            rows == [
                "name string required", "level low, middle or high low", "count int 1", "flag bool false",
                "wait duration 90s", "note string none", "list []string [x]",
                "inner.count int 2", "inner.deep.file string none",
            ])
    }

    @Test func copiesOneField() {
        var changed = Sample(level: .high, count: 5)
        changed.inner.count = 9
        var target = Sample()
        let differing = Sample.fields.filter(\.needsRestart).filter { $0.copy(changed, &target) }.map(\.name)
        #expect(differing == ["level", "inner.count"])
        #expect(target.level == .high && target.inner.count == 9 && target.count == 1)
    }
}

@Suite struct ConfigurationValueTests {
    @Test(
        arguments: [
            (.zero, "0"), (.seconds(30), "30s"), (.seconds(90), "90s"), (.seconds(120), "2m0s"),
            (.milliseconds(250), "250ms"), (.milliseconds(1_500), "1.5s"),
        ] as [(Duration, String)])
    func showsDurations(_ duration: Duration, _ shown: String) {
        #expect(duration.shown == shown)
    }

    @Test func showsTheRest() {
        #expect(
            "".shown == "none" && "a".shown == "a" && Optional<String>.none.shown == "none"
                && Optional("x").shown == "x")
        #expect(true.shown == "true" && 5.shown == "5" && ["a", "b"].shown == "[a, b]")
    }
}
