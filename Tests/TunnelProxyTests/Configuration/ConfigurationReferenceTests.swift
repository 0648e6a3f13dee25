import Glibc
import Testing
import TunnelCore
import TunnelProxy

/// Holds docs/configuration.md against the decoder's own table, in both directions.
@Suite struct ConfigurationReferenceTests {
    private struct Row: Hashable, CustomStringConvertible {
        let name: String, type: String, defaultValue: String
        let saysRestart: Bool
        var description: String { "\(name) | \(type) | \(defaultValue)\(saysRestart ? " | Restart" : "")" }
    }

    private static func page() throws -> String {
        let root = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        let file = try #require(fopen("/\(root)/docs/configuration.md", "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let size = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<size], as: UTF8.self)
    }

    /// Rows of four cells whose first three are code.
    private static func rows(_ page: String) -> [Row] {
        page.split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|").map { $0.drop(while: { $0 == " " }) }
                .map { String($0.reversed().drop(while: { $0 == " " }).reversed()) }
            guard cells.count == 4, cells[..<3].allSatisfy({ $0.hasPrefix("`") && $0.hasSuffix("`") }) else {
                return nil
            }
            let words = cells[..<3].map { String($0.dropFirst().dropLast()) }
            return Row(
                name: words[0], type: words[1], defaultValue: words[2], saysRestart: cells[3].hasSuffix("*Restart.*"))
        }
    }

    @Test func describesEveryFieldAndNoOther() throws {
        let documented = Self.rows(try Self.page())
        let ofRoute = RouteOptions.fields.map {
            Row(
                name: "route_options.ROUTE.\($0.name)", type: $0.typeName, defaultValue: $0.shown(RouteOptions()),
                saysRestart: $0.needsRestart)
        }
        let blank = ProxyConfiguration.Tunnel(domain: "", certFile: "", keyFile: "", routes: [])
        let ofTunnel = ProxyConfiguration.Tunnel.fields.map {
            Row(
                name: "tunnels.DOMAIN.\($0.name)", type: $0.typeName, defaultValue: $0.shown(blank),
                saysRestart: $0.needsRestart)
        }
        let decoded = ProxyConfiguration.fields.flatMap {
            [Row(name: $0.name, type: $0.typeName, defaultValue: $0.shown(.defaults), saysRestart: $0.needsRestart)]
                + ($0.name == "route_options" ? ofRoute : $0.name == "tunnels" ? ofTunnel : [])
        }
        #expect(documented.filter { !decoded.contains($0) } == [], "in the page and not in the decoder")
        #expect(decoded.filter { !documented.contains($0) } == [], "in the decoder and not in the page")
        #expect(documented.map(\.name) == decoded.map(\.name), "the order differs")
    }

    private static func samples(_ page: String) -> [String] {
        page.components(between: "```yaml\n", and: "```")
    }

    /// The long sample has every field, and each optional one at its default; but for `tunnels`, which takes the place of others.
    @Test func itsFullSampleIsComplete() throws {
        let sample = try #require(Self.samples(try Self.page()).max { $0.utf8.count < $1.utf8.count })
        var decoder = ConfigurationDecoder(file: "sample")
        var configuration = ProxyConfiguration.defaults
        decoder.decode(try YAMLNode.parse(Array(sample.utf8)), ProxyConfiguration.fields, into: &configuration)
        #expect(decoder.diagnostics == [])
        for field in ProxyConfiguration.fields where field.name != "tunnels" {
            #expect(decoder.marks[field.name] != nil, "\(field.name) is missing in the sample")
            let shown = field.shown(.defaults)
            #expect(shown == "none" || field.shown(configuration) == shown, "\(field.name) is not at its default")
        }
        _ = try ProxyConfiguration.parse(Array(sample.utf8), file: "sample")
    }

    @Test func itsSmallSampleIsAccepted() throws {
        let sample = try #require(Self.samples(try Self.page()).first)
        _ = try ProxyConfiguration.parse(Array(sample.utf8), file: "sample")
    }

    @Test func everySampleIsYAML() throws {
        for sample in Self.samples(try Self.page()) { _ = try YAMLNode.parse(Array(sample.utf8)) }
    }
}

extension String {
    fileprivate func components(between start: String, and end: String) -> [String] {
        var found: [String] = []
        var rest = self[...]
        while let opening = rest.firstRange(of: start) {
            rest = rest[opening.upperBound...]
            guard let closing = rest.firstRange(of: end) else { break }
            found.append(String(rest[..<closing.lowerBound]))
            rest = rest[closing.upperBound...]
        }
        return found
    }
}
