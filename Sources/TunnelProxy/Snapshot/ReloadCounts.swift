internal import Synchronization

/// How often the configuration and the certificate were read anew while the proxy ran.
final class ReloadCounts: Sendable {
    enum Kind: String, CaseIterable { case configuration, certificate }
    enum Result: String, CaseIterable { case ok, failed }

    private let counts = Mutex<[String: UInt64]>([:])

    func count(_ kind: Kind, _ result: Result) {
        counts.withLock { $0["\(kind.rawValue) \(result.rawValue)", default: 0] += 1 }
    }

    subscript(kind: Kind, result: Result) -> UInt64 {
        counts.withLock { $0["\(kind.rawValue) \(result.rawValue)"] ?? 0 }
    }
}
