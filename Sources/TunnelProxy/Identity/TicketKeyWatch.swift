internal import Synchronization
internal import TunnelCore
internal import TunnelIO
package import TunnelPKI
internal import TunnelTLS

/// The file in `tls.ticket_keys_file`, as it was read.
package struct TicketKeySource: Sendable {
    private let path: String

    /// - Parameter tls: of a tunnel.
    /// - Returns: `nil` where clients get no tickets, or the proxy has keys of its own for them.
    package init?(_ tls: ProxyConfiguration.TLS) {
        guard tls.sessionTickets, let file = tls.ticketKeysFile else { return nil }
        path = file
    }

    /// Whoever reads it wipes it.
    package struct Contents: Sendable {
        package private(set) var keys: TicketKeyFile
        /// What they are known by.
        let digest: [UInt8]

        init(keys: TicketKeyFile, digest: [UInt8]) { (self.keys, self.digest) = (keys, digest) }

        package mutating func wipe() { keys.wipe() }
    }

    /// - Returns: `nil` where there is no such file.
    /// - Throws: an error whose text names the file, and the line where there is one.
    package func read() throws(ProxyError) -> Contents? {
        var bytes: [UInt8]
        do throws(FileError) { bytes = try FileBytes.read(path, limit: TicketKeyFile.maxBytes) } catch {
            if error.isMissing { return nil }
            throw ProxyError("\(error)")
        }
        defer { bytes.wipe() }
        do throws(PKIError) {
            let digest = try bytes.sha256()
            return Contents(keys: try TicketKeyFile(bytes), digest: digest)
        } catch { throw ProxyError("\(path): \(error)") }
    }
}

extension ServerCredentials {
    /// Puts the keys of a tunnel's file in force, for a server that is about to start.
    ///
    /// - Returns: what they are known by; `nil` where the keys are the server's own.
    /// - Throws: ``ConfigurationError`` for a file that is there and cannot be used.
    func shareTicketKeys(_ configuration: ProxyConfiguration) throws -> [UInt8]? {
        do throws(ProxyError) {
            guard var contents = try TicketKeySource(configuration.tls)?.read() else { return nil }
            defer { contents.wipe() }
            do throws(TLSError) { try ticketKeys.share(contents.keys) } catch { throw ProxyError("\(error)") }
            return contents.digest
        } catch {
            throw configuration.error(
                "tls.ticket_keys_file", error.description,
                remedy: "setup renew-cert makes the file; the proxy's user, 65532 in the image, must be able to read it"
            )
        }
    }
}

/// Keeps the keys of session tickets: those of `tls.ticket_keys_file`, which is looked at as the certificate's files are, or
/// without one some of the proxy's own, which change every hour.
///
/// A file that cannot be used changes nothing and is told once. One that is not there yet is waited for.
final class TicketKeyWatch: Sendable {
    private struct Seen {
        /// By its digest; `nil` where the keys are our own.
        var inForce: [UInt8]?
        /// Why the file was refused last.
        var refused: String?
    }

    /// Keys of our own are replaced this often; the previous ones still open older tickets.
    private static let life: Int64 = 3600

    private let number: Int
    private let credentials: ServerCredentials
    private let shared: SharedState
    private let seen: Mutex<Seen>

    /// - Parameters:
    ///   - inForce: what the keys in force are known by.
    ///   - number: of the tunnel.
    init(inForce: [UInt8]?, _ number: Int, _ credentials: ServerCredentials, _ shared: SharedState) {
        seen = Mutex(Seen(inForce: inForce))
        (self.number, self.credentials, self.shared) = (number, credentials, shared)
        if inForce != nil { tell("session ticket keys loaded") }
    }

    private var keys: TicketKeys { credentials.ticketKeys }

    /// Takes the file's keys into use if they are new. One look at a time.
    ///
    /// - Parameter configuration: of the tunnel.
    func look(_ configuration: ProxyConfiguration) {
        do {
            guard let source = TicketKeySource(configuration.tls) else { return try goOnWithOwn() }
            guard var contents = try source.read() else {
                // Where nobody has made it yet, the start has told so.
                if seen.withLock({ $0.inForce }) != nil { refuse("\(configuration.tls.ticketKeysFile ?? "") is gone") }
                return
            }
            defer { contents.wipe() }
            let digest = contents.digest
            let (isNew, isMended) = seen.withLock { seen in
                defer { seen.refused = nil }
                return (digest != seen.inForce, seen.refused != nil)
            }
            if isMended, !isNew { tell("session ticket keys are those in force again") }
            guard isNew else { return }
            try keys.share(contents.keys)
            seen.withLock { $0.inForce = digest }
            tell("session ticket keys reloaded")
            shared.reloads.note(.ticketKeys, by: "watch", succeeded: true, "in force", at: SystemClock.now())
        } catch { refuse("\(error)") }
    }

    private func goOnWithOwn() throws(TLSError) {
        let wereShared = seen.withLock { seen in
            defer { seen = Seen() }
            return seen.inForce != nil
        }
        guard wereShared else { return }
        try keys.rotate()
        shared.log(.info, "session ticket keys are this proxy's own") { writeTunnel(to: &$0) }
    }

    /// Makes a new key of our own where it is time.
    func rotate(now: Int64) {
        do throws(TLSError) { _ = try keys.rotateIfDue(now: now, every: .seconds(Self.life)) } catch {
            shared.log(.error, "ticket keys not rotated") { line in
                writeTunnel(to: &line)
                line.field("error", error.description)
            }
        }
    }

    private func refuse(_ reason: String) {
        let isNews = seen.withLock { seen in
            defer { seen.refused = reason }
            return seen.refused != reason
        }
        guard isNews else { return }
        let message = "session ticket keys not reloaded, the old ones stay"
        shared.log(.warn, message) { line in
            writeTunnel(to: &line)
            line.field("reason", reason)
        }
        shared.reloads.note(.ticketKeys, by: "watch", succeeded: false, reason, at: SystemClock.now())
    }

    private func tell(_ message: String) {
        shared.log(.info, message) { line in
            writeTunnel(to: &line)
            line.field("file", shared.snapshot.tunnel(number)?.configuration.tls.ticketKeysFile ?? "")
            // Stands in each ticket: replicas that show the same one seal with the same key.
            line.field("key", keys.sealingName)
        }
    }

    private func writeTunnel(to line: inout LogLine) {
        if let name = shared.snapshot.tunnel(number)?.name { line.field("tunnel", name) }
    }
}
