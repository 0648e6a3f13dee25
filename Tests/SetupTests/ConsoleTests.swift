import Testing

@testable import setup

@Suite struct ConsoleTests {
    /// Escape, a C1 control, a carriage return, a change of direction; line feeds of our own stay.
    static let hostile = "a\u{1b}[31mb\u{9b}2Jc\rd\u{202e}e\u{7f}\u{2028}ü\n"

    @Test func nothingSteersTheTerminal() {
        #expect(
            Console.visible(Self.hostile) == "a\\u{1b}[31mb\\u{9b}2Jc\\u{d}d\\u{202e}e\\u{7f}\\u{2028}ü\n")
    }

    @Test func jsonHoldsTheSameTextWithoutAnyControl() throws {
        let text = JSONText.of(["x": Self.hostile + "\u{e0001}"])
        #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || $0.properties.generalCategory != .control })
        #expect(text.contains("\\u009b") && text.contains("\\u202e") && text.contains("\\udb40\\udc01"))
        #expect(!text.contains("\u{202e}") && text.contains("ü\\n"))
    }
}
