import Testing
import TunnelSetup

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

@Suite struct JSONTextTests {
    private struct Sample: Encodable {
        let tunnelId = "tnl_1"
        let apiURL: String? = nil
        let address = "https://a/b"
        let dnsNames = ["a", "*.a"]
    }

    /// Names in snake case, sorted; nothing for what is not there; no escaped slashes.
    @Test func namesAreInSnakeCaseAndSorted() {
        let text = JSONText.of(Sample()).filter { !$0.isWhitespace }
        #expect(text == #"{"address":"https://a/b","dns_names":["a","*.a"],"tunnel_id":"tnl_1"}"#)
    }

    @Test func failureTellsHopReasonAndRemedy() {
        let error = SetupError(
            .api, "cannot list the tunnels: HTTP 429 [request id req_1]", remedy: "try again later", requestID: "req_1",
            isTemporary: true)
        let report = FailureReport(error)
        #expect(
            report.text
                == "Tunnels API: cannot list the tunnels: HTTP 429 [request id req_1]\n  remedy: try again later")
        let text = JSONText.of(report).filter { !$0.isNewline }
        for part in [
            #""hop" : "Tunnels API""#, #""is_temporary" : true"#, #""remedy" : "try again later""#,
            #""request_id" : "req_1""#, #""reason" : "cannot list the tunnels: HTTP 429 [request id req_1]""#,
        ] {
            #expect(text.contains(part), "\(part)")
        }
        #expect(!text.contains("findings") && !text.contains("text"))
    }

    @Test func failureWithoutARequestHasNoID() {
        let error = SetupError(.output, "dir:/data: open /data: permission denied", remedy: "")
        let text = JSONText.of(FailureReport(error))
        #expect(!text.contains("request_id") && text.contains(#""is_temporary" : false"#))
    }
}

@Suite struct TextTableTests {
    @Test func columnsStandUnderEachOther() {
        let rows = [["ID", "STATE", "NAME"], ["tnl_0123", "active", ""], ["t", "a", "a name"]]
        #expect(TextTable.of(rows) == "ID        STATE   NAME\ntnl_0123  active  \nt         a       a name")
    }

    @Test func nothingIsNothing() { #expect(TextTable.of([]) == "") }
}
