import Testing
import TunnelSetup

@testable import setup

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
