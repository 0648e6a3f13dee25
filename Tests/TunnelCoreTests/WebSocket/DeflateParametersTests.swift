import Testing
import TunnelCore

@Suite struct DeflateParametersTests {
    private static let prefix = "permessage-deflate"

    static let offers: [(wanted: DeflateParameters, parameters: String)] = [
        (DeflateParameters(), "; client_max_window_bits"),
        (DeflateParameters(clientMaxWindowBits: 9), "; client_max_window_bits=9"),
        (
            DeflateParameters(
                serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 10),
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits"
        ),
    ]
    @Test(arguments: offers) func makesOffer(_ row: (wanted: DeflateParameters, parameters: String)) {
        #expect(row.wanted.offer() == Self.prefix + row.parameters)
    }

    /// What we want, the client's offer after the name, and our answer after the name; `nil` declines.
    static let answers: [(wanted: DeflateParameters, offer: String, answer: String?)] = [
        (DeflateParameters(), "", ""),
        (DeflateParameters(), "; client_max_window_bits", ""),
        (DeflateParameters(), "; client_max_window_bits=10", "; client_max_window_bits=10"),
        (DeflateParameters(), "; client_max_window_bits=15", ""),
        (DeflateParameters(), "; server_max_window_bits=15", "; server_max_window_bits=15"),
        (DeflateParameters(), "; server_max_window_bits=8", "; server_max_window_bits=8"),
        (DeflateParameters(), "; server_max_window_bits=\"9\"", "; server_max_window_bits=9"),
        (DeflateParameters(), "; server_no_context_takeover", "; server_no_context_takeover"),
        (DeflateParameters(), "; client_no_context_takeover", "; client_no_context_takeover"),
        (DeflateParameters(serverNoContextTakeover: true), "", "; server_no_context_takeover"),
        (DeflateParameters(clientNoContextTakeover: true), "", "; client_no_context_takeover"),
        (DeflateParameters(serverMaxWindowBits: 9), "", "; server_max_window_bits=9"),
        (DeflateParameters(serverMaxWindowBits: 9), "; server_max_window_bits=12", "; server_max_window_bits=9"),
        (DeflateParameters(serverMaxWindowBits: 12), "; server_max_window_bits=9", "; server_max_window_bits=9"),
        (DeflateParameters(clientMaxWindowBits: 9), "; client_max_window_bits", "; client_max_window_bits=9"),
        (DeflateParameters(clientMaxWindowBits: 9), "; client_max_window_bits=8", "; client_max_window_bits=8"),
        // Not offered, so not to be demanded: the offer is declined.
        (DeflateParameters(clientMaxWindowBits: 9), "", nil),
        (
            DeflateParameters(clientMaxWindowBits: 9), ", permessage-deflate; client_max_window_bits",
            "; client_max_window_bits=9"
        ),
        // RFC 7692 §7.1: what is to be declined.
        (DeflateParameters(), "; server_max_window_bits", nil),
        (DeflateParameters(), "; server_max_window_bits=7", nil),
        (DeflateParameters(), "; server_max_window_bits=16", nil),
        (DeflateParameters(), "; server_max_window_bits=08", nil),
        (DeflateParameters(), "; server_max_window_bits=+9", nil),
        (DeflateParameters(), "; client_max_window_bits=1", nil),
        (DeflateParameters(), "; client_max_window_bits=150", nil),
        (DeflateParameters(), "; server_no_context_takeover=1", nil),
        (DeflateParameters(), "; client_no_context_takeover=true", nil),
        (DeflateParameters(), "; server_no_context_takeover; server_no_context_takeover", nil),
        (DeflateParameters(), "; client_max_window_bits; client_max_window_bits=9", nil),
        (DeflateParameters(), "; unknown", nil),
        // The next offer is tried.
        (
            DeflateParameters(), "; unknown, x-other, permessage-deflate; client_no_context_takeover",
            "; client_no_context_takeover"
        ),
    ]
    @Test(arguments: answers) func makesAnswer(_ row: (wanted: DeflateParameters, offer: String, answer: String?))
        throws
    {
        let offers = try WebSocketExtension.parse([Self.prefix + row.offer])
        #expect(row.wanted.choose(from: offers)?.response == row.answer.map { Self.prefix + $0 })
    }

    @Test func declinesWhatIsNotDeflate() {
        #expect(DeflateParameters().choose(from: [WebSocketExtension("x-webkit-deflate-frame")]) == nil)
        #expect(DeflateParameters().choose(from: []) == nil)
    }

    /// What the client wanted, the server's answer after the name, and the agreement; `nil` fails the connection.
    static let acceptances: [(wanted: DeflateParameters, answer: String, agreed: DeflateParameters?)] = [
        (DeflateParameters(), "", DeflateParameters()),
        (DeflateParameters(), "; server_no_context_takeover", DeflateParameters(serverNoContextTakeover: true)),
        (DeflateParameters(), "; client_no_context_takeover", DeflateParameters(clientNoContextTakeover: true)),
        (DeflateParameters(), "; server_max_window_bits=9", DeflateParameters(serverMaxWindowBits: 9)),
        (DeflateParameters(), "; client_max_window_bits=9", DeflateParameters(clientMaxWindowBits: 9)),
        (DeflateParameters(clientNoContextTakeover: true), "", DeflateParameters(clientNoContextTakeover: true)),
        (DeflateParameters(clientMaxWindowBits: 10), "", DeflateParameters(clientMaxWindowBits: 10)),
        (
            DeflateParameters(serverMaxWindowBits: 10), "; server_max_window_bits=10",
            DeflateParameters(serverMaxWindowBits: 10)
        ),
        (DeflateParameters(serverMaxWindowBits: 10), "", nil),
        (DeflateParameters(serverMaxWindowBits: 10), "; server_max_window_bits=11", nil),
        (DeflateParameters(clientMaxWindowBits: 10), "; client_max_window_bits=11", nil),
        (DeflateParameters(serverNoContextTakeover: true), "", nil),
        (DeflateParameters(), "; client_max_window_bits", nil),
        (DeflateParameters(), "; server_max_window_bits", nil),
        (DeflateParameters(), "; server_max_window_bits=16", nil),
        (DeflateParameters(), "; unknown=1", nil),
        (DeflateParameters(), "; server_max_window_bits=9; server_max_window_bits=9", nil),
        (DeflateParameters(), ", permessage-deflate", nil),
        (DeflateParameters(), ", other", nil),
    ]
    @Test(arguments: acceptances)
    func accepts(_ row: (wanted: DeflateParameters, answer: String, agreed: DeflateParameters?)) throws {
        let response = try WebSocketExtension.parse([Self.prefix + row.answer])
        if let agreed = row.agreed {
            #expect(try row.wanted.accept(response) == agreed)
        } else {
            #expect(throws: WebSocketError(code: .mandatoryExtension, reason: "")) {
                _ = try row.wanted.accept(response)
            }
        }
    }

    @Test func declinedIsNoCompression() throws {
        #expect(try DeflateParameters().accept([]) == nil)
        #expect(throws: WebSocketError(code: .mandatoryExtension, reason: "")) {
            _ = try DeflateParameters().accept([WebSocketExtension("other")])
        }
    }

    /// Our client and our server come to the same agreement, or to none, whatever each wants.
    @Test func bothSidesAgree() throws {
        let all = [true, false].flatMap { server in
            [true, false].flatMap { client in
                [8, 9, 15].flatMap { serverBits in
                    [8, 12, 15].map {
                        DeflateParameters(
                            serverNoContextTakeover: server, clientNoContextTakeover: client,
                            serverMaxWindowBits: serverBits, clientMaxWindowBits: $0)
                    }
                }
            }
        }
        for client in all {
            for server in all {
                let offers = try WebSocketExtension.parse([client.offer()])
                let answer = try #require(server.choose(from: offers))
                let response = try WebSocketExtension.parse([answer.response])
                #expect(try client.accept(response) == answer.agreed, "\(client) \(server)")
            }
        }
    }
}
