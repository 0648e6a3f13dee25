@testable import TunnelSetup

extension StoreChanges {
    init(_ values: [StoreKey: String?]) {
        self.init()
        for (key, value) in values {
            if let value { set(key, value) } else { remove(key) }
        }
    }
}

extension StoreContents {
    /// All of it as text, to compare.
    var texts: [StoreKey: String] {
        var texts: [StoreKey: String] = [:]
        for key in keys { texts[key] = String(decoding: self[key] ?? [], as: UTF8.self) }
        return texts
    }
}

extension [StoreKey: String] {
    func applying(_ changes: [StoreKey: String?]) -> Self {
        merging(changes.compactMapValues { $0 }) { $1 }.filter { changes[$0.key] != .some(nil) }
    }
}
