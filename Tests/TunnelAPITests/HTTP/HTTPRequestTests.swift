import Testing
import TunnelAPI
import TunnelCore

/// What a log would show of a request and its response.
@Suite struct HTTPRequestTests {
    private func texts<Value>(_ value: Value) -> String {
        var dumped = ""
        dump(value, to: &dumped)
        return "\(value)\(String(reflecting: value))\(dumped)"
    }

    @Test func aRequestShowsMethodAndAddressOnly() throws {
        let request = HTTPRequest(
            "POST", try ServiceURL("https://a.example/v1"), "/x", fields: [HTTPField("X-Key", "hush")],
            bearerToken: Secret("hush"), body: Array("hush".utf8))
        #expect("\(request)" == "POST https://a.example/v1/x")
        #expect(!texts(request).contains("hush") && !texts(request).contains("104"))
    }

    @Test func anAnswerShowsItsStatusOnly() {
        let response = HTTPResponse(status: 200, fields: [HTTPField("Token", "hush")], body: Array("hush".utf8))
        #expect("\(response)" == "HTTP 200")
        #expect(!texts(response).contains("hush") && !texts(response).contains("104"))
    }

    @Test func aFieldIsFoundInAnyCase() {
        let response = HTTPResponse(status: 200, fields: [HTTPField("Request-Id", "a"), HTTPField("request-id", "b")])
        #expect(response.first("REQUEST-ID") == "a" && response.first("x") == nil)
    }
}
