import Testing
import TunnelCore

@Suite struct UpgradeRequestTests {
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="

    private static func request() -> UpgradeRequest {
        var request = UpgradeRequest(method: "GET", httpMinorVersion: 1)
        request.connection = ["Upgrade"]
        request.upgrade = ["websocket"]
        request.version = ["13"]
        request.key = [key]
        return request
    }

    private static func accepted(_ decision: UpgradeRequest.Decision) -> UpgradeRequest.Acceptance? {
        if case .upgrade(let acceptance) = decision { acceptance } else { nil }
    }

    private static func rejected(_ decision: UpgradeRequest.Decision) -> UpgradeRequest.Rejection? {
        if case .reject(let rejection) = decision { rejection } else { nil }
    }

    @Test(arguments: [["Upgrade"], ["upgrade"], ["keep-alive, UPGRADE"], ["keep-alive", "x ,\tupgrade "]])
    func acceptsConnection(_ connection: [String]) {
        var request = Self.request()
        request.connection = connection
        request.upgrade = ["h2c, WebSocket"]
        let accepted = Self.accepted(request.evaluate())
        #expect(accepted?.key == Self.key && accepted?.extensions == nil && accepted?.subprotocol == nil)
    }

    static let rejections: [(change: @Sendable (inout UpgradeRequest) -> Void, status: Int, why: String)] = [
        ({ $0.method = "POST" }, 405, "POST"), ({ $0.method = "get" }, 405, "methods have a case"),
        ({ $0.httpMinorVersion = 0 }, 426, "HTTP/1.0"),
        ({ $0.connection = [] }, 426, "no Connection"), ({ $0.connection = ["keep-alive"] }, 426, "not listed"),
        ({ $0.connection = ["upgraded"] }, 426, "only begins alike"),
        ({ $0.upgrade = [] }, 426, "no Upgrade"), ({ $0.upgrade = ["h2c"] }, 426, "other protocol"),
        ({ $0.version = [] }, 426, "no version"), ({ $0.version = ["8"] }, 426, "old version"),
        ({ $0.version = ["13, 8"] }, 426, "list of versions"), ({ $0.version = ["13", "13"] }, 400, "two versions"),
        ({ $0.key = [] }, 400, "no key"), ({ $0.key = [key, key] }, 400, "two keys"),
        ({ $0.key = ["short=="] }, 400, "bad key"),
        ({ $0.protocols = [""] }, 400, "empty protocols"), ({ $0.protocols = ["a b"] }, 400, "protocol not a token"),
        ({ $0.protocols = ["a", "b, a"] }, 400, "protocol repeated"),
        ({ $0.extensions = [";"] }, 400, "bad extensions"),
    ]
    @Test(arguments: rejections.indices) func rejects(_ index: Int) {
        let row = Self.rejections[index]
        var request = Self.request()
        row.change(&request)
        let rejection = Self.rejected(request.evaluate(deflate: DeflateParameters()))
        #expect(rejection?.status == row.status, "\(row.why)")
    }

    /// Each status brings the fields that it must have.
    @Test func rejectionFields() {
        var request = Self.request()
        func fields() -> [String]? { Self.rejected(request.evaluate())?.fields.map { "\($0.name): \($0.value)" } }
        request.version = ["12"]
        #expect(fields() == ["Upgrade: websocket", "Sec-WebSocket-Version: 13"])
        request.upgrade = []
        #expect(fields() == ["Upgrade: websocket"])
        request.method = "PUT"
        #expect(fields() == ["Allow: GET"])
        request.method = "GET"
        request.upgrade = ["websocket"]
        request.version = ["13", "13"]
        #expect(fields() == [])
    }

    @Test(arguments: [("mcp", "mcp"), (nil, nil), ("other", nil), ("MCP", nil)] as [(String?, String?)])
    func subprotocol(_ ours: String?, _ chosen: String?) {
        var request = Self.request()
        request.protocols = ["x, y", "mcp"]
        let accepted = Self.accepted(request.evaluate(subprotocol: ours))
        #expect(accepted != nil && accepted?.subprotocol == chosen)
    }

    @Test func compression() throws {
        var request = Self.request()
        request.extensions = ["permessage-deflate; client_max_window_bits"]
        #expect(Self.accepted(request.evaluate())?.deflate == nil)
        let wanted = DeflateParameters(clientMaxWindowBits: 10)
        let accepted = try #require(Self.accepted(request.evaluate(deflate: wanted)))
        #expect(accepted.deflate == wanted)
        #expect(accepted.extensions == "permessage-deflate; client_max_window_bits=10")
        var buffer = ByteBuffer()
        accepted.appendResponse(into: &buffer)
        #expect(String(decoding: buffer.array, as: UTF8.self).hasSuffix("client_max_window_bits=10\r\n\r\n"))
    }
}
