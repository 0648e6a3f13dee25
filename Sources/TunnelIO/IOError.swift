internal import Glibc

/// Why an operation on a socket, a resolver or a file failed.
package struct IOError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        /// The kernel said no; the value is `errno`.
        case system(CInt)
        /// A deadline of ours passed.
        case timedOut
        /// We closed the descriptor ourselves, for the reason in ``IOError/operation``.
        case closed
        /// The peer ended the stream where more had to come.
        case endOfStream
        /// The peer's bytes broke TLS, or its certificate was not accepted.
        case tls
        /// A name has no address.
        case nameNotFound
    }

    package let code: Code
    /// What was tried, for example `connect`.
    package let operation: String
    package let detail: String

    package init(_ code: Code, _ operation: String, detail: String = "") {
        (self.code, self.operation, self.detail) = (code, operation, detail)
    }

    /// The failure that `errno` holds now.
    static func fromErrno(_ operation: String) -> IOError { IOError(.system(errno), operation) }

    package var description: String { "\(operation): \(reason)" }

    /// The failure without what was tried.
    package var reason: String {
        switch code {
        case .system(let number): IOError.text(of: number) + (detail.isEmpty ? "" : ": \(detail)")
        case .timedOut: "i/o timeout"
        case .closed: "closed"
        case .endOfStream: "unexpected end of stream"
        case .tls: detail
        case .nameNotFound: "no such host"
        }
    }

    /// Whether `errno` says that the peer has thrown the connection away.
    package static func isReset(_ number: CInt) -> Bool { number == ECONNRESET || number == EPIPE }

    package static func == (a: IOError, b: IOError) -> Bool { a.code == b.code }

    /// `errno` in words, lower case as operators know them from Go's tools (`connection refused`).
    package static func text(of number: CInt) -> String {
        guard let text = strerror(number) else { return "error \(number)" }
        return String(cString: text).lowercased()
    }
}
