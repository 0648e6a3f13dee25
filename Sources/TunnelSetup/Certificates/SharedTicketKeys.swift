internal import TunnelCore
internal import TunnelPKI

/// What became of the keys with which all proxies of a tunnel seal TLS session tickets.
@nonexhaustive
public enum TicketKeysAction: String, Sendable {
    case kept
    /// There were none, or none that could be used.
    case made
    /// Each moved up by one, and a new one stands at the end.
    case rotated
}

/// Makes and rotates the keys that proxies share for TLS session tickets.
///
/// A rotation does not bring a key into use that any proxy may not have read yet: the one that seals from now on was there
/// as the next one since the rotation before. So rotations must not follow each other sooner than every proxy looks at its
/// files, and the time of the last one stands in the file.
enum SharedTicketKeys {
    /// In seconds. Less than the day between two runs of a renewal job, which come at a random minute.
    static let life: Int64 = 20 * 3600

    /// Makes keys where there are none that can be used.
    static func provide(
        _ contents: StoreContents, in changes: inout StoreChanges, replacing: Bool = false, _ context: SetupContext
    ) throws(SetupError) -> TicketKeysAction {
        if !replacing, areUsable(contents) { return .kept }
        try make(in: &changes, context)
        return .made
    }

    /// Makes keys where there are none that can be used, and rotates those that are ``life`` old.
    static func rotate(
        _ contents: StoreContents, in changes: inout StoreChanges, _ context: SetupContext
    ) throws(SetupError) -> TicketKeysAction {
        guard var file = usable(contents) else {
            try make(in: &changes, context)
            return .made
        }
        defer { file.wipe() }
        let now = context.now().seconds
        guard isDue(file.rotatedAt, now) else { return .kept }
        do throws(PKIError) { try file.rotate(now: now) } catch { throw failed(error) }
        changes.set(.ticketKeys, file.text)
        return .rotated
    }

    /// A time in the future was written by a clock that was wrong, unless it is near.
    private static func isDue(_ rotatedAt: Int64?, _ now: Int64) -> Bool {
        guard let rotatedAt else { return true }
        let (age, isOverflow) = now.subtractingReportingOverflow(rotatedAt)
        return isOverflow || age.magnitude >= life.magnitude
    }

    static func areUsable(_ contents: StoreContents) -> Bool {
        guard var file = usable(contents) else { return false }
        file.wipe()
        return true
    }

    private static func usable(_ contents: StoreContents) -> TicketKeyFile? {
        contents[.ticketKeys].flatMap { try? TicketKeyFile($0) }
    }

    private static func make(in changes: inout StoreChanges, _ context: SetupContext) throws(SetupError) {
        do throws(PKIError) {
            var file = try TicketKeyFile.generate(now: context.now().seconds)
            defer { file.wipe() }
            changes.set(.ticketKeys, file.text)
        } catch { throw failed(error) }
    }

    private static func failed(_ error: PKIError) -> SetupError {
        SetupError(error, "new session ticket keys", remedy: "run again")
    }
}

extension TicketKeysAction {
    /// What to report once it is written; `nil` where nothing was.
    var report: String? {
        switch self {
        case .kept: nil
        case .made: "session ticket keys made, for all proxies of the tunnel"
        case .rotated: "session ticket keys rotated"
        }
    }
}
