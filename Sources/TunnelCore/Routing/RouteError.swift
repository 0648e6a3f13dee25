/// Why a set of routes cannot be used. `code` for machines, `reason` and `remedy` for people.
public struct RouteError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// A key or the tunnel domain is not a host name or address.
        case badHost
        /// Two keys name the same host.
        case duplicate
        /// More bytes than the table can index; no configuration comes near.
        case tooLarge
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
