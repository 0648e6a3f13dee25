internal import Synchronization
internal import TunnelCore

/// The last attempts to put a configuration or a certificate in force, for `/status` and the page.
final class ReloadJournal: Sendable {
    enum Kind: String, Sendable {
        case configuration, certificate
    }

    struct Record: Sendable {
        let time: UnixTime
        let kind: Kind
        /// Who asked: `signal`, `command`, `watch`, `api`.
        let by: String
        let succeeded: Bool
        /// What is in force now, or why it is not.
        let detail: String
    }

    /// Records that are kept, and bytes of the text of each.
    static let capacity = 20
    private static let maxDetail = 1_000

    private let records = Mutex<[Record]>([])

    func note(_ kind: Kind, by: String, succeeded: Bool, _ detail: String, at time: UnixTime) {
        let record = Record(
            time: time, kind: kind, by: by, succeeded: succeeded,
            detail: Diagnostic.excerpt(detail, limit: Self.maxDetail))
        records.withLock { records in
            records.append(record)
            if records.count > Self.capacity { records.removeFirst() }
        }
    }

    /// The oldest first.
    var all: [Record] { records.withLock { $0 } }
}
