import Testing

@testable import TunnelPKI

@Suite struct TicketKeyFileTests {
    private static func line(_ byte: UInt8, count: Int = 80) -> String {
        var text: [UInt8] = []
        Base64.encodeLine([UInt8](repeating: byte, count: count), into: &text)
        return String(decoding: text.dropLast(), as: UTF8.self)
    }

    private func read(_ lines: [String]) throws -> TicketKeyFile {
        try TicketKeyFile(Array(lines.joined(separator: "\n").utf8))
    }

    @Test func readsWhatItWrites() throws {
        let made = try TicketKeyFile.generate(now: 1_796_000_000)
        #expect(made.keys.count == 3 && Set(made.keys).count == 3 && made.keys.allSatisfy { $0.count == 80 })
        let text = String(decoding: made.text, as: UTF8.self)
        #expect(text.contains("\n# rotated 2026-11-30 00:53:20 UTC\n"))
        let read = try TicketKeyFile(made.text)
        #expect(read.keys == made.keys && read.rotatedAt == 1_796_000_000)
    }

    /// The key that was the next one seals, the one that sealed still opens, and the oldest is gone.
    @Test func aRotationMovesEachKeyUp() throws {
        var file = try TicketKeyFile.generate(now: 1)
        let before = file.keys
        try file.rotate(now: 86_400)
        #expect(file.keys.prefix(2) == before.suffix(2) && !before.contains(file.keys[2]) && file.rotatedAt == 86_400)
    }

    /// As `openssl rand` makes them and people write them: comments, empty lines, line ends of Windows, no time.
    @Test(arguments: ["\n", "\r\n"]) func readsWhatIsMadeByHand(_ end: String) throws {
        let lines = ["# ours", "", Self.line(1), Self.line(2), "", Self.line(3), "# rotated last week"]
        let file = try TicketKeyFile(Array(lines.joined(separator: end).utf8))
        #expect(file.keys.map(\.[0]) == [1, 2, 3] && file.rotatedAt == nil)
    }

    /// Each with what the reason has to say.
    @Test(
        arguments: [
            ([], .missing, "0 of 3 keys"),
            ([line(1), line(2)], .missing, "2 of 3 keys"),
            ([line(1), line(2), line(3), "# more", line(4)], .several, "line 5: a fourth key"),
            ([line(1), line(2), line(1)], .malformed, "line 3: the key of line 1 again"),
            ([line(1), "", line(2, count: 79), line(3)], .malformed, "line 3: 79 bytes"),
            ([line(1), line(2, count: 81), line(3)], .malformed, "line 2: 81 bytes"),
            ([line(1), line(2, count: 48), line(3)], .malformed, "line 2: 64 characters"),
            ([String(repeating: "-", count: 108)], .malformed, "line 1: not base64"),
            ([String(repeating: "#", count: 4_097)], .tooLarge, "4097 bytes"),
        ] as [([String], PKIError.Code, String)])
    func refusesWhatIsNone(_ lines: [String], _ code: PKIError.Code, _ reason: String) throws {
        let error = #expect(throws: PKIError.self) { try read(lines) }
        #expect(error?.code == code && error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
        for line in lines where line.count > 60 { #expect(error?.reason.contains(line.prefix(8)) == false) }
    }

    @Test func neverPrintsAKey() throws {
        let file = try TicketKeyFile.generate(now: 1)
        var dumped = ""
        dump(file, to: &dumped)
        for text in ["\(file)", String(reflecting: file), dumped] {
            #expect(!text.contains("[") && !text.contains("\(file.keys[1][0]), \(file.keys[1][1])"))
        }
    }

    @Test func wipesEveryKey() throws {
        var file = try TicketKeyFile.generate(now: 1)
        file.wipe()
        #expect(file.keys.isEmpty)
    }
}
