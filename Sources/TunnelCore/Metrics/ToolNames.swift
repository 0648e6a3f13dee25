internal import Synchronization

/// A tool's place in the proxy's table of their names.
package struct ToolPlace: Sendable, Equatable {
    /// Distinct names that are kept; all others are one.
    package static let limit = 200
    static let count = limit + 1
    let index: Int

    static let other = ToolPlace(index: limit)
}

/// The names of tools that were called, for `metrics.mcp_names`. Shared by all workers; asked once for each name and worker.
package final class ToolNames: Sendable {
    private let names = Mutex<[String]>([])

    package init() {}

    /// All, in the order of their places.
    package var all: [String] { names.withLock { $0 } }

    /// - Returns: `nil` where no more are kept.
    fileprivate func place(_ name: String) -> ToolPlace? {
        names.withLock { names in
            if let index = names.firstIndex(of: name) { return ToolPlace(index: index) }
            guard names.count < ToolPlace.limit else { return nil }
            names.append(name)
            return ToolPlace(index: names.count - 1)
        }
    }
}

/// What one worker knows of ``ToolNames``: a table by hash, so that a name that is known costs no allocation and no lock.
package struct KnownTools {
    private struct Entry {
        let hash: UInt64
        let name: [UInt8]
        let place: ToolPlace
    }

    /// A power of two, more than twice as large as it can get full.
    private static let size = 512
    private let shared: ToolNames
    private var table: [Entry?] = []
    /// The proxy's table is full, and all of it is known here.
    private var isFull = false

    package init(_ shared: ToolNames) { self.shared = shared }

    /// A name is 1 to 128 letters, digits, `_`, `-`, `.` and `/`, as the specification has it; everything else, the encoded
    /// form too, counts as one.
    package mutating func place(_ name: Span<UInt8>) -> ToolPlace {
        guard (1...128).contains(name.count), let hash = KnownTools.hash(name) else { return .other }
        if table.isEmpty { table = [Entry?](repeating: nil, count: KnownTools.size) }
        let index = find(name, hash)
        if let entry = table[index] { return entry.place }
        return isFull ? .other : learn(name)
    }

    private mutating func learn(_ name: Span<UInt8>) -> ToolPlace {
        let text = name.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        if let place = shared.place(text) {
            keep(text, place)
            return place
        }
        // One look at the whole table, and from then on no lock for a name that is not in it.
        for (index, name) in shared.all.enumerated() { keep(name, ToolPlace(index: index)) }
        isFull = true
        return .other
    }

    private mutating func keep(_ text: String, _ place: ToolPlace) {
        let name = Array(text.utf8)
        guard let hash = KnownTools.hash(name.span) else { return }
        table[find(name.span, hash)] = Entry(hash: hash, name: name, place: place)
    }

    /// Where the name is, or would be.
    private func find(_ name: Span<UInt8>, _ hash: UInt64) -> Int {
        var index = Int(hash % UInt64(KnownTools.size))
        while let entry = table[index] {
            if entry.hash == hash, entry.name.count == name.count,
                entry.name.indices.allSatisfy({ entry.name[$0] == name[$0] })
            {
                return index
            }
            index = (index + 1) % KnownTools.size
        }
        return index
    }

    /// FNV-1a; `nil` where a byte is none of a name. Names made to collide cost a search of two hundred at the most.
    private static func hash(_ name: Span<UInt8>) -> UInt64? {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in name.indices {
            switch name[index] {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D...0x2F: break
            default: return nil
            }
            hash = (hash ^ UInt64(name[index])) &* 0x0000_0100_0000_01B3
        }
        return hash
    }
}
