internal import FoundationEssentials

/// A Kubernetes Secret as the API server has sent it. Its textual forms show the names only.
public struct KubernetesSecret: Sendable, CustomStringConvertible, CustomReflectable {
    public let name: String
    /// What a change names, so that it is refused if somebody else was faster.
    public let resourceVersion: String
    /// Whether the values cannot be changed any more.
    public let isImmutable: Bool
    /// In base64, as it came.
    private let data: [String: String]

    /// - Parameters:
    ///   - expected: the name that was asked for.
    ///   - namespace: where it was asked for.
    /// - Throws: the name of the member that is not usable.
    package init(_ body: [UInt8], named expected: String, in namespace: String) throws(MalformedSecret) {
        let wire: Wire
        do { wire = try JSONDecoder().decode(Wire.self, from: Data(body)) } catch {
            throw MalformedSecret(reason: "the response is no JSON object with metadata, name and resourceVersion")
        }
        guard wire.kind == nil || wire.kind == "Secret" else {
            throw MalformedSecret(reason: "the response is no Secret")
        }
        guard wire.metadata.name == expected, wire.metadata.namespace ?? namespace == namespace else {
            throw MalformedSecret(reason: "the response is about another Secret")
        }
        name = wire.metadata.name
        resourceVersion = wire.metadata.resourceVersion
        isImmutable = wire.immutable ?? false
        data = (wire.data ?? [:]).compactMapValues { $0 }
        guard !resourceVersion.isEmpty else { throw MalformedSecret(reason: "metadata.resourceVersion is empty") }
    }

    /// All names in `data`, sorted.
    public var keys: [String] { data.keys.sorted() }

    /// The value of a key; `nil` if there is none.
    ///
    /// - Throws: ``KubernetesError`` `.malformedResponse` if it is not base64.
    public func value(_ key: String) throws(KubernetesError) -> [UInt8]? {
        guard let text = data[key] else { return nil }
        guard let value = Data(base64Encoded: text) else {
            throw KubernetesError(
                .malformedResponse, "secret \(name): data.\(key) is not base64",
                remedy: "see what serves the Kubernetes API")
        }
        return Array(value)
    }

    public var description: String { "secret \(name) [\(keys.joined(separator: ", "))]" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }

    private struct Wire: Decodable {
        struct Metadata: Decodable {
            var name: String
            var namespace: String?
            var resourceVersion: String
        }
        var kind: String?
        var metadata: Metadata
        var data: [String: String?]?
        var immutable: Bool?
    }
}

/// The bodies of the requests. Keys are sorted, so that the same request is the same bytes.
enum KubernetesBody {
    static func creation(
        name: String, namespace: String, labels: [String: String], data: [String: [UInt8]]
    ) -> [UInt8] {
        encode(
            Creation(
                metadata: Creation.Metadata(name: name, namespace: namespace, labels: labels),
                data: data.mapValues(base64)))
    }

    /// A JSON merge patch (RFC 7386): `null` removes.
    static func patch(data: [String: [UInt8]?], resourceVersion: String) -> [UInt8] {
        encode(
            Patch(metadata: Patch.Metadata(resourceVersion: resourceVersion), data: data.mapValues { $0.map(base64) }))
    }

    static func base64(_ value: [UInt8]) -> String { Data(value).base64EncodedString() }

    private static func encode(_ body: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Text and dictionaries of it can always be encoded.
        return (try? encoder.encode(body)).map(Array.init) ?? []
    }

    private struct Creation: Encodable {
        struct Metadata: Encodable {
            let name: String, namespace: String
            let labels: [String: String]
        }
        let apiVersion = "v1", kind = "Secret", type = "Opaque"
        let metadata: Metadata
        let data: [String: String]
    }

    private struct Patch: Encodable {
        struct Metadata: Encodable {
            let resourceVersion: String
        }
        let metadata: Metadata
        let data: [String: String?]
    }
}
