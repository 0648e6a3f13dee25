import TunnelCore

private let hosts = ["echo", "auth", "a.b", "full.example", "10.0.0.1", "[fd00::1]", "echo.t.example"]
private let table = try? RouteTable(routes: hosts.enumerated().map { ($1, $0) }, tunnelDomain: "t.example")

/// The `Host` field of a request to a route.
///
/// The table agrees with a slow reading of the same rules on Strings, and case does not matter.
func checkHostLookup(_ bytes: [UInt8]) {
    guard let table else { preconditionFailure("the table of the test is broken") }
    let found = table.lookup(bytes.span)
    precondition(found == slowLookup(bytes), "found another route than the rules say")
    let upper = bytes.map { $0 >= 0x61 && $0 <= 0x7A ? $0 - 32 : $0 }
    precondition(table.lookup(upper.span) == found, "case matters")
    // Whatever the input is, a table can be asked for it as a key, and a key that is taken is found.
    let text = String(decoding: bytes, as: UTF8.self)
    if let own = try? RouteTable(routes: [(text, 7)], tunnelDomain: nil) {
        let isBareIPv6 = IPAddress(text)?.isIPv4 == false
        precondition(own.lookup(isBareIPv6 ? "[\(text)]" : text) == 7, "a key that is not found by itself")
    }
}

/// Routing as facts say it: host without port, case and trailing dot; whole name, then what stands before the domain.
private func slowLookup(_ bytes: [UInt8]) -> Int? {
    guard let text = String(validating: bytes, as: UTF8.self), bytes.allSatisfy({ $0 < 0x80 }) else { return nil }
    var name = text.lowercased(), port = ""
    if text.hasPrefix("[") {
        guard let end = text.utf8.firstIndex(of: UInt8(ascii: "]")) else { return nil }
        guard let address = IPAddress(text[text.index(after: text.startIndex)..<end]), !address.isIPv4 else {
            return nil
        }
        port = String(text.utf8[text.utf8.index(after: end)...]) ?? ""
        name = "[\(address)]"
    } else if let colon = name.utf8.firstIndex(of: UInt8(ascii: ":")) {
        port = String(name.utf8[colon...]) ?? ""
        name = String(name.utf8[..<colon]) ?? ""
    }
    if !port.isEmpty {
        guard port.utf8.first == UInt8(ascii: ":") else { return nil }
        let digits = port.utf8.dropFirst()
        guard digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        guard digits.count <= 5, Int(String(digits) ?? "") ?? 0 <= 65_535 else { return nil }
    }
    if !name.hasPrefix("["), name.utf8.last == UInt8(ascii: ".") { name.removeLast() }
    guard !name.utf8.isEmpty, name.utf8.count <= 255 else { return nil }
    if let route = hosts.firstIndex(where: { Array($0.utf8) == Array(name.utf8) }) { return route }
    let suffix = Array(".t.example".utf8), whole = Array(name.utf8)
    guard whole.count > suffix.count, Array(whole.suffix(suffix.count)) == suffix else { return nil }
    let rest = Array(whole.dropLast(suffix.count))
    return hosts.firstIndex { Array($0.utf8) == rest }
}
