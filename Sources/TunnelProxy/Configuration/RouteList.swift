internal import TunnelCore

/// `routes` as a field: a mapping from host names to upstreams. What keys must look like is checked with the whole.
struct RouteList: ConfigurationValue {
    static var typeName: String { "map[string]string" }

    var routes: [Route]

    static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> RouteList? {
        guard case .mapping(let entries) = node.content else {
            return decoder.mismatch(
                node, RouteList.self, field: field,
                remedy: "write one 'name: scheme://host:port' a line, without dashes")
        }
        var routes: [Route] = []
        for entry in entries {
            guard let key = entry.key.text else { continue }
            let path = "\(field).\(Diagnostic.excerpt(key))"
            guard !entry.value.isNull else {
                decoder.report(
                    "the upstream is missing", remedy: "write \(Diagnostic.excerpt(key)): http://host:port",
                    field: path,
                    at: entry.value.mark)
                continue
            }
            guard let text = String.read(entry.value, field: path, &decoder) else { continue }
            do throws(UpstreamAddressError) {
                let route = Route(key: key, upstream: try UpstreamAddress(text))
                // The index keeps two spellings of one key apart, until the check of the whole has seen both.
                decoder.marks["\(field)[\(routes.count)]"] = entry.key.mark
                decoder.texts["\(field)[\(routes.count)]"] = key
                routes.append(route)
            } catch {
                decoder.report(
                    "\(error) \"\(Diagnostic.excerpt(withoutCredentials(text)))\"", remedy: error.reason, field: path,
                    at: entry.value.mark)
            }
        }
        return RouteList(routes: routes)
    }

    var shown: String { routes.isEmpty ? "none" : "\(routes.count) routes" }
}

/// The text with what stands before an `@` left out: in a mistaken URL that is a user name and a password.
func withoutCredentials(_ text: String) -> String {
    guard let at = text.lastIndex(of: "@") else { return text }
    let start = text.firstRange(of: "://")?.upperBound ?? text.startIndex
    return start < at ? "\(text[..<start])...\(text[at...])" : text
}
