/// One thing that can be wrong on the way from Claude to an MCP server, with the words that an operator needs.
///
/// One table of them exists, so that `mcp-proxy check`, `mcp-proxy probe`, the page and docs/troubleshooting.md say the same
/// about the same thing. What was found in a certain place, with names and values, is added by whoever found it.
package struct Fault: Hashable, Sendable {
    /// A stable name: for programs, searches, and the row in docs/troubleshooting.md. What a startup finding or a rule of
    /// `setup verify` is called stands here too.
    package let id: String
    package let level: Level
    /// Half a sentence, without names and values.
    package let title: String
    /// What an operator or a caller sees of it.
    package let sign: String
    package let cause: String
    package let remedy: String

    /// What a fault means for the traffic.
    package enum Level: String, Sendable {
        /// Requests get through, or some of them, and somebody should look.
        case warn
        /// Requests fail.
        case fail
    }

    init(_ id: String, _ title: String, level: Level = .fail, sign: String, cause: String, remedy: String) {
        (self.id, self.level, self.title) = (id, level, title)
        (self.sign, self.cause, self.remedy) = (sign, cause, remedy)
    }

    package static func == (a: Self, b: Self) -> Bool { a.id == b.id }
    package func hash(into hasher: inout Hasher) { hasher.combine(id) }
}

extension Fault {
    /// A part of the table, as a section of docs/troubleshooting.md.
    package struct Section: Sendable {
        package let title: String
        package let faults: [Fault]
    }

    /// The whole table, in the order of a request's way.
    package static let sections = [
        Section(title: "Configuration", faults: configuration),
        Section(title: "Certificate and clock", faults: certificate),
        Section(title: "Cloudflare", faults: edge),
        Section(title: "From cloudflared to the proxy", faults: tunnel),
        Section(title: "Reaching an MCP server", faults: upstream),
        Section(title: "TLS to an MCP server", faults: upstreamTLS),
        Section(title: "HTTP of an MCP server", faults: upstreamHTTP),
        Section(title: "MCP", faults: mcp),
        Section(title: "Authorization", faults: authorization),
    ]

    package static let all = sections.flatMap(\.faults)

    /// The fault of that name.
    package static func named(_ id: String) -> Fault? { byID[id] }

    private static let byID = Dictionary(all.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
}
