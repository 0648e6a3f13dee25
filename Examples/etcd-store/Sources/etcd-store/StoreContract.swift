import TunnelSetup

/// What a `CredentialStore` promises, asked of a place that is empty: for whoever writes one.
struct StoreContract {
    let store: any CredentialStore

    /// - Returns: the promises that are not kept. What was written is removed again.
    func broken() async throws -> [String] {
        var broken: [String] = []
        func expect(_ holds: Bool, _ promise: String) { if !holds { broken.append(promise) } }

        let empty = try await store.load()
        guard empty.isEmpty else { return ["the place is not empty: \(empty)"] }

        var changes = StoreChanges()
        // Any byte, and as many as there may be.
        let large = (0..<StoreContents.maxValueBytes).map { UInt8(truncatingIfNeeded: $0) }
        changes.set(.caKey, large)
        changes.set(.tunnelID, "tnl_1")
        changes.set(.oldTunnelID, [])
        let written = try await store.write(changes, over: empty)
        var read = try await store.load()
        for (contents, whose) in [(written, "a write returns"), (read, "a load gives")] {
            expect(contents[.caKey] == large && contents[.tunnelID] == Array("tnl_1".utf8), "\(whose) what was written")
            expect(contents[.oldTunnelID] == [], "\(whose) an empty value as one")
            expect(contents.keys.count == 3, "\(whose) nothing else")
        }

        var later = StoreChanges()
        later.set(.tunnelID, "tnl_2")
        later.remove(.caKey)
        for (stale, why) in [(empty, "values that have come"), (read.applying(later, revision: ""), "other values")] {
            do {
                _ = try await store.write(later, over: stale)
                expect(false, "a write over \(why) is refused")
            } catch {
                expect(error.code == .conflict, "a write over \(why) is a conflict, not \(error.code.rawValue)")
            }
        }
        read = try await store.load()
        expect(read.text(.tunnelID) == "tnl_1" && read[.caKey] == large, "a write that is refused changes nothing")

        _ = try await store.write(later, over: read)
        read = try await store.load()
        expect(read.text(.tunnelID) == "tnl_2" && read[.caKey] == nil, "a write sets and removes")

        var end = StoreChanges()
        for key in read.keys { end.remove(key) }
        _ = try await store.write(end, over: read)
        expect(try await store.load().isEmpty, "what is removed is gone")
        return broken
    }
}
