internal import Glibc

/// Finds a request's route by its host: the whole name first, then what stands before `.` and the tunnel domain.
///
/// A hash table over the bytes of the names: a lookup costs the same for one route and for ten thousand, allocates
/// nothing and makes no String. Immutable, so every loop may read it. The keys come from the configuration, never from a
/// peer; still the hash is Swift's seeded SipHash, so that nobody can aim at long probes.
public struct RouteTable: Sendable {
    private struct Entry: Sendable {
        /// Where the name lies in `names`.
        let offset: UInt32, count: UInt32
        let value: Int
    }

    /// All names, one after the other, in normal form.
    private var names: [UInt8] = []
    private var entries: [Entry] = []
    /// Open addressing with linear probing: one more than the entry's index, or 0 for free. At least half is free, so
    /// every probe ends.
    private var slots: [UInt32]
    /// The tunnel domain in normal form; empty when there is none.
    private let domain: [UInt8]
    /// Whether a key is a full name below the domain, which wins over a label.
    private var hasFullNames = false

    /// - Parameter routes: hosts and what to find under them. A host is a full name, a label (or several) below the
    ///   tunnel domain, an IPv4 address or an IPv6 literal in brackets; no port, no wildcard. Case and a trailing dot do
    ///   not count.
    /// - Parameter tunnelDomain: the domain whose suffix is stripped; `nil` or empty for none.
    /// - Throws: `.badHost` for a key or domain that no `Host` field could name; `.duplicate` for two keys that are one
    ///   host. A label and the full name that it stands for are two keys: the full name wins.
    public init(routes: [(host: String, value: Int)], tunnelDomain: String?) throws(RouteError) {
        domain = try tunnelDomain.flatMap { $0.isEmpty ? nil : $0 }.map(Self.parse) ?? []
        slots = []
        guard routes.count <= 1 << 24 else {
            throw RouteError(
                code: .tooLarge, host: "", reason: "\(routes.count) routes", remedy: "configure at most \(1 << 24)")
        }
        var size = 4
        while size < routes.count * 2 { size *= 2 }
        slots = [UInt32](repeating: 0, count: size)
        for route in routes {
            let name = try Self.parse(route.host)
            if !domain.isEmpty, name.count > domain.count, name[name.count - domain.count - 1] == UInt8(ascii: "."),
                name.suffix(domain.count) == domain[...]
            {
                hasFullNames = true
            }
            let slot = name.withUnsafeBytes { findSlot($0) }
            guard slots[slot] == 0 else {
                throw RouteError(
                    code: .duplicate, host: route.host, reason: "the host \(quotedText(route.host)) has two routes",
                    remedy: "remove one; case and a trailing dot do not make a difference")
            }
            entries.append(Entry(offset: UInt32(names.count), count: UInt32(name.count), value: route.value))
            names += name
            slots[slot] = UInt32(entries.count)
        }
    }

    /// The number of routes.
    public var count: Int { entries.count }

    /// Finds the route of a host as it stands in a `Host` field: any case, with or without port and trailing dot.
    ///
    /// - Returns: the route's value; `nil` when there is none, and for what is no host (empty, over 255 bytes, a port
    ///   that is no port, a broken IPv6 literal).
    public func lookup(_ host: Span<UInt8>) -> Int? {
        withUnsafeTemporaryAllocation(byteCount: Authority.maxHostBytes, alignment: 8) { room in
            guard let count = Authority.writeHost(of: host, to: room) else { return nil }
            let name = UnsafeRawBufferPointer(rebasing: room[..<count])
            let rest = count - domain.count - 1
            let isBelow =
                !domain.isEmpty && rest > 0 && name[rest] == UInt8(ascii: ".")
                && domain.withUnsafeBytes({ isEqual($0, name, at: rest + 1) })
            if hasFullNames || !isBelow, let value = value(of: name) { return value }
            return isBelow ? value(of: UnsafeRawBufferPointer(rebasing: name[..<rest])) : nil
        }
    }

    /// Finds the route of a host; see `lookup(_: Span<UInt8>)`.
    public func lookup(_ host: String) -> Int? {
        var host = host
        return host.withUTF8 { lookup($0.span) }
    }

    private func value(of name: UnsafeRawBufferPointer) -> Int? {
        let entry = slots[findSlot(name)]
        return entry == 0 ? nil : entries[Int(entry) - 1].value
    }

    /// The slot that holds `name`, or the free one where it would be.
    private func findSlot(_ name: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: name)
        let mask = slots.count - 1
        var slot = hasher.finalize() & mask
        while slots[slot] != 0 {
            let entry = entries[Int(slots[slot]) - 1]
            if Int(entry.count) == name.count,
                names.withUnsafeBytes({ isEqual(name, $0, at: Int(entry.offset)) })
            {
                break
            }
            slot = (slot + 1) & mask
        }
        return slot
    }

    /// The normal form of a key, held to what a host may be (RFC 3986 §3.2.2, in the letters that DNS uses).
    private static func parse(_ host: String) throws(RouteError) -> [UInt8] {
        func bad(_ problem: String, _ remedy: String) -> RouteError {
            RouteError(code: .badHost, host: host, reason: "\(quotedText(host)) \(problem)", remedy: remedy)
        }
        let bytes = Array(host.utf8)
        // An IPv6 address may stand without brackets in a key: there is no port to confuse it with.
        let literal = IPAddress(host).map { $0.isIPv4 ? bytes : Array("[\($0)]".utf8) } ?? bytes
        let isLiteral = literal.first == UInt8(ascii: "[")
        if literal.isEmpty || literal == [UInt8(ascii: ".")] { throw bad("is empty", "write a host name") }
        if !isLiteral, literal.contains(UInt8(ascii: ":")) || literal.contains(UInt8(ascii: "/")) {
            throw bad("has a scheme, port or path", "write the host name alone")
        }
        if literal.contains(UInt8(ascii: "*")) { throw bad("has a wildcard", "write one route for each host") }
        if !isLiteral, !literal.allSatisfy(isNameByte) {
            throw bad("has a character that no host name has", "use letters, digits, - and _ (xn--... for others)")
        }
        if isLiteral, literal.last != UInt8(ascii: "]") { throw bad("has a port", "write the address alone") }
        let name = literal.withUnsafeBufferPointer { literal in
            [UInt8](unsafeUninitializedCapacity: Authority.maxHostBytes) { room, count in
                count = Authority.writeHost(of: literal.span, to: UnsafeMutableRawBufferPointer(room)) ?? 0
            }
        }
        if name.isEmpty {
            throw isLiteral
                ? bad("is not an IPv6 address", "write it as [fd00::1]")
                : bad("is not a host", "write a name of at most \(Authority.maxHostBytes) bytes, without a port")
        }
        if !isLiteral, name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).contains([]) {
            throw bad("has an empty label", "remove the extra dot")
        }
        return name
    }

    /// A letter, a digit, "-", "_" or ".": narrower than what a Host may hold, for no name in use has a "~".
    private static func isNameByte(_ byte: UInt8) -> Bool {
        HTTPByteSet.hostName.contains(byte) && byte != UInt8(ascii: "~")
    }
}

/// Whether all of `part` stands in `whole` at `offset`; both ends lie inside by construction.
private func isEqual(_ part: UnsafeRawBufferPointer, _ whole: UnsafeRawBufferPointer, at offset: Int) -> Bool {
    guard let left = part.baseAddress, let right = whole.baseAddress else { return part.isEmpty }
    // SAFETY: `whole` has `part.count` bytes from `offset` on: the callers took the offset from their lengths.
    return memcmp(left, right + offset, part.count) == 0
}

/// Why a set of routes cannot be used. `code` for machines, `reason` and `remedy` for people.
public struct RouteError: Error, Equatable, Sendable, CustomStringConvertible {
    /// More codes may come.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

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
