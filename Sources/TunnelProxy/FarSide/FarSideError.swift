internal import Glibc
internal import TunnelIO

/// Why a far side could not go on, in one line for people.
package struct FarSideError: Error, Equatable, CustomStringConvertible {
    /// The same for programs, as far as it makes a difference to what is to be done.
    package enum Cause: Equatable, Sendable {
        case nameNotFound
        /// Nothing listens there.
        case refused
        case unreachable
        case timedOut
        /// Another response than 101 to the upgrade; no status where it was no HTTP.
        case notWebSocket(status: UInt16?)
        /// The handshake inside the tunnel failed; the words are OpenSSL's.
        case tls(reason: String)
        /// The connection or the tunnel ended where more had to come.
        case endedEarly
        case other
    }

    package let description: String
    package let cause: Cause

    package init(_ description: String, _ cause: Cause = .other) {
        (self.description, self.cause) = (description, cause)
    }

    init(
        _ operation: String, _ target: some CustomStringConvertible, _ error: IOError, _ limit: Duration
    ) {
        let time = limit < .seconds(1) ? "\(Int(limit / .milliseconds(1))) ms" : "\(limit.components.seconds) s"
        let reason = error.code == .timedOut ? "nothing within \(time)" : error.reason
        self.init("\(operation) \(target): \(reason)", Self.cause(of: error))
    }

    private static func cause(of error: IOError) -> Cause {
        switch error.code {
        case .timedOut: .timedOut
        case .nameNotFound: .nameNotFound
        // A Unix socket that nobody has made.
        case .system(ECONNREFUSED), .system(ENOENT): .refused
        case .system(EHOSTUNREACH), .system(ENETUNREACH), .system(EACCES), .system(EPERM): .unreachable
        case .system(ECONNRESET), .system(EPIPE), .endOfStream: .endedEarly
        case .system, .closed, .tls: .other
        }
    }
}
