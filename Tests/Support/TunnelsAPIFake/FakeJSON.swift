import FoundationEssentials

/// A JSON value that keeps its type: a number is no string, `true` is no number.
public enum FakeJSON: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// A number that is no `Int64`.
    case number(Double)
    case string(String)
    case array([FakeJSON])
    case object([String: FakeJSON])

    /// - Throws: `DecodingError` for anything but one JSON text.
    public init(parsing bytes: [UInt8]) throws {
        self = try JSONDecoder().decode(FakeJSON.self, from: Data(bytes))
    }

    /// The value as one JSON text, members in the order of their names.
    public var bytes: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // No value of this type fails to encode: a number that came from JSON is finite, and none is made here.
        return (try? encoder.encode(self)).map { [UInt8]($0) } ?? []
    }

    /// The member of that name; `nil` where there is none, or this is no object.
    public subscript(name: String) -> FakeJSON? { members?[name] }

    public var members: [String: FakeJSON]? { if case .object(let members) = self { members } else { nil } }
    public var elements: [FakeJSON]? { if case .array(let elements) = self { elements } else { nil } }
    public var text: String? { if case .string(let text) = self { text } else { nil } }
    public var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    public var boolean: Bool? { if case .bool(let value) = self { value } else { nil } }
    /// Any number.
    public var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    static func optional(_ text: String?) -> FakeJSON { text.map(FakeJSON.string) ?? .null }
}

extension FakeJSON: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([FakeJSON].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: FakeJSON].self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

extension FakeJSON: ExpressibleByStringLiteral, ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(dictionaryLiteral elements: (String, FakeJSON)...) {
        self = .object(Dictionary(elements) { _, last in last })
    }
    public init(arrayLiteral elements: FakeJSON...) { self = .array(elements) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(nilLiteral: ()) { self = .null }
}
