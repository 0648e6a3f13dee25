internal import Synchronization
internal import TunnelCore

/// The last attempts to put a configuration, a certificate or ticket keys in force, for `/status` and the page.
final class ReloadJournal: Sendable {
    enum Kind: String, CaseIterable, Sendable {
        case configuration, certificate
        case ticketKeys = "ticket_keys"
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

    private struct State {
        var records: [Record] = []
        var succeeded: [Kind: UInt64] = [:]
        var failed: [Kind: UInt64] = [:]
    }
    private let state = Mutex(State())

    func note(_ kind: Kind, by: String, succeeded: Bool, _ detail: String, at time: UnixTime) {
        // An error has a line for each thing that is wrong.
        let line = detail.split(whereSeparator: \.isNewline).joined(separator: "; ")
        let record = Record(
            time: time, kind: kind, by: by, succeeded: succeeded,
            detail: Diagnostic.excerpt(line, limit: Self.maxDetail))
        state.withLock { state in
            state.records.append(record)
            if state.records.count > Self.capacity { state.records.removeFirst() }
            if succeeded { state.succeeded[kind, default: 0] += 1 } else { state.failed[kind, default: 0] += 1 }
        }
    }

    /// The oldest first.
    var all: [Record] { state.withLock { $0.records } }

    /// How many there were in all.
    func count(_ kind: Kind, succeeded: Bool) -> UInt64 {
        state.withLock { (succeeded ? $0.succeeded : $0.failed)[kind] ?? 0 }
    }
}
