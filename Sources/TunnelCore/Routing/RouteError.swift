/// Why a set of routes cannot be used. `code` for machines, `reason` and `remedy` for people.
public struct RouteError: Error, Equatable, Sendable, CustomStringConvertible {
    /// More codes may come.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// A key or the tunnel domain is not a host name or address.
        public static let badHost = Code(rawValue: "badHost")
        /// Two keys name the same host.
        public static let duplicate = Code(rawValue: "duplicate")
        /// More routes than the table can index; no configuration comes near.
        public static let tooLarge = Code(rawValue: "tooLarge")
    }

    public let code: Code
    /// The key at fault, as it was given.
    public let host: String
    public let reason: String
    public let remedy: String

    public var description: String { "\(reason); \(remedy)" }

    /// Equality is by code and key, so that tests compare causes, not prose.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code && a.host == b.host }
}
