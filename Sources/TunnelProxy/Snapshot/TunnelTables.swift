internal import TunnelCore

/// The numbers of tunnels, from one snapshot to the next.
///
/// A connection learns its tunnel's number at its handshake and keeps it, whatever reloads make of the others: a number
/// means the same domain for as long as the process lives. The only tunnel of a configuration without `tunnels` has one too.
struct TunnelNumbers: Sendable {
    private var numbers: [String?: Int] = [:]

    mutating func number(of domain: String?) -> Int {
        if let number = numbers[domain] { return number }
        numbers[domain] = numbers.count
        return numbers.count - 1
    }

    /// One more than the highest.
    var end: Int { numbers.count }
}

/// The routes of the tunnels, by the tunnels' numbers.
struct TunnelTables: Sendable {
    /// An object, so that a request that looks one up counts one reference and not those of all its arrays.
    private final class Table: Sendable {
        let routes: RouteTable
        init(_ routes: RouteTable) { self.routes = routes }

        /// Not inlined, or the references of the arrays would be counted after all.
        @inline(never)
        func lookup(_ authority: Span<UInt8>) -> Int? { routes.lookup(authority) }
    }

    /// `nil` for tunnels that were there before and are no more.
    private var tables: [Table?]
    /// Numbers by domain, where there are several tunnels.
    private let domains: [String: Int]

    /// - Parameter end: one more than the highest number.
    init(_ tables: [(number: Int, domain: String?, routes: RouteTable)], end: Int) {
        self.tables = Array(repeating: nil, count: end)
        for (number, _, routes) in tables { self.tables[number] = Table(routes) }
        domains = Dictionary(tables.compactMap { row in row.domain.map { ($0, row.number) } }) { first, _ in first }
    }

    /// The same with objects of its own.
    init(copyOf other: TunnelTables) {
        tables = other.tables.map { $0.map { Table($0.routes) } }
        domains = other.domains
    }

    /// Whether there is a tunnel of that number.
    func holds(_ tunnel: Int) -> Bool { tables.indices.contains(tunnel) && tables[tunnel] != nil }

    /// What the tunnel's table has for a Host value.
    func lookup(_ authority: Span<UInt8>, of tunnel: Int) -> Int? {
        guard tables.indices.contains(tunnel) else { return nil }
        return tables[tunnel]?.lookup(authority)
    }

    /// Whether a Host value that has no route in this tunnel's table is another tunnel's business, or this one has gone.
    func isMisdirected(_ authority: Span<UInt8>, of tunnel: Int) -> Bool {
        guard holds(tunnel) else { return true }
        guard domains.count > 1 else { return false }
        let host = Authority.normalizedHost(authority)
        var rest = host[...]
        while !rest.isEmpty {
            if let owner = domains[String(rest)] { return owner != tunnel }
            guard let dot = rest.firstIndex(of: ".") else { break }
            rest = rest[rest.index(after: dot)...]
        }
        return false
    }
}
