/// The requests of ``SampleRequests`` as lines for HTTP/2, with the same fields.
enum StreamRequests {
    static func call(host: String) -> [UInt8] {
        lines("POST", "/mcp", host, length: SampleRequests.callBody.count)
    }

    static func download(host: String, length: Int) -> [UInt8] { lines("GET", "/download/\(length)", host) }

    static func events(host: String, rate: Int) -> [UInt8] { lines("GET", "/events/\(rate)", host) }

    private static func lines(_ method: String, _ path: String, _ host: String, length: Int? = nil) -> [UInt8] {
        let pseudo = ":method: \(method)\r\n:scheme: https\r\n:path: \(path)\r\n:authority: \(host)\r\n"
        return Array((pseudo + SampleRequests.fields(length: length).lowercasedNames).utf8)
    }
}

extension String {
    /// The names of field lines in small letters, as HTTP/2 wants them (RFC 9113 §8.2.1).
    fileprivate var lowercasedNames: String {
        split(separator: "\r\n").map { line in
            let name = line.prefix { $0 != ":" }
            return name.lowercased() + line.dropFirst(name.count) + "\r\n"
        }.joined()
    }
}
