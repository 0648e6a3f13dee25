internal import FoundationEssentials
import TunnelCore

/// Shows the input to the scanner of JSON-RPC as a request's body, in pieces whose size its first byte says.
///
/// What is found does not depend on the pieces and is bounded. Of JSON that Foundation reads, and that names nothing twice,
/// it is what Foundation finds.
func checkJSONRPCBody(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let body = Array(bytes.dropFirst())
    let whole = scan(body, piece: max(1, body.count))
    precondition(
        whole == scan(body, piece: 1) && whole == scan(body, piece: Int(first) + 1), "it depends on the pieces")
    for text in [whole.method, whole.name] {
        precondition((text?.count ?? 0) <= JSONRPCScanner.maxText, "a text without bounds")
    }
    precondition(whole.name == nil || whole.method != nil, "a name of no method")
    compare(whole, body)
}

private struct Found: Equatable {
    var method: [UInt8]?
    var name: [UInt8]?
}

private func scan(_ body: [UInt8], piece: Int) -> Found {
    var scanner = JSONRPCScanner()
    scanner.begin()
    var start = 0
    while start < body.count {
        let end = min(body.count, start + piece)
        scanner.look(at: body.span.extracting(start..<end))
        start = end
    }
    var found = Found()
    scanner.withMethod { text in found.method = text.withUnsafeBytes { [UInt8]($0) } }
    scanner.withName { text in found.name = text.withUnsafeBytes { [UInt8]($0) } }
    return found
}

private struct Request: Decodable {
    struct Params: Decodable {
        let name: String?
        let uri: String?
    }

    let method: String?
    let params: Params?
}

private func compare(_ found: Found, _ body: [UInt8]) {
    // Names that are there twice mean one thing to us and another to Foundation; so does what is cut off. A string of UTF-8
    // is compared as such, and Foundation takes a mark in front of the text and control characters in strings.
    guard body.count <= JSONRPCScanner.limit, String(validating: body, as: UTF8.self) != nil, body.first != 0xEF,
        !body.contains(0x5C), !body.contains(where: { $0 < 0x20 }), isSingle("method", body), isSingle("params", body),
        isSingle("name", body),
        isSingle("uri", body), let request = try? JSONDecoder().decode(Request.self, from: Data(body))
    else { return }
    precondition(found.method == kept(request.method), "another method")
    let name =
        switch request.method {
        case "tools/call", "prompts/get": request.params?.name
        case "resources/read": request.params?.uri
        default: nil as String?
        }
    precondition(found.name == kept(name), "another name")
}

private func kept(_ text: String?) -> [UInt8]? { text.map { Array($0.utf8.prefix(JSONRPCScanner.maxText)) } }

/// Whether a key is there once at the most, wherever.
private func isSingle(_ key: String, _ body: [UInt8]) -> Bool {
    let quoted = Array("\"\(key)\"".utf8)
    return body.indices.count { body[$0...].starts(with: quoted) } <= 1
}
