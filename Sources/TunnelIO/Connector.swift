internal import CLinux
internal import Glibc
package import TunnelCore

/// Opens one connection to the first of several addresses that accepts it (RFC 8305, happy eyeballs).
///
/// Addresses are tried in the order given. The next one starts when the one before has failed, or beside it when that
/// has said nothing for a quarter of a second. The caller has checked every address; nothing is resolved here.
package final class Connector {
    /// RFC 8305 §5, Connection Attempt Delay.
    private static let attemptDelay: UInt64 = 250_000_000
    private static let queueDelay: UInt64 = 5_000_000

    private final class Attempt: ReadinessHandler {
        let address: SocketAddress
        let descriptor: CInt
        var registration: Registration?
        unowned let connector: Connector

        init(_ address: SocketAddress, _ descriptor: CInt, _ connector: Connector) {
            (self.address, self.descriptor, self.connector) = (address, descriptor, connector)
        }

        func ready(_ readiness: Readiness) {
            guard !readiness.isDisjoint(with: [.write, .hangUp]) else { return }
            connector.finished(self, CLinux_socket_error(descriptor), sawHangUp: readiness.contains(.hangUp))
        }
    }

    private let reactor: Reactor
    private var remaining: ArraySlice<SocketAddress>
    private var attempts: [Attempt] = []
    private var waiter: UnsafeContinuation<Void, Never>?
    private var outcome: Result<(Socket, SocketAddress), DialError>?
    private var lastError: DialError?
    private lazy var overall = Deadline(on: reactor) { [unowned self] in
        let address = attempts.first?.address ?? lastError?.address
        end(.failure(DialError(address: address, error: IOError(.timedOut, "connect"))))
    }
    private lazy var nextAttempt = Deadline(on: reactor) { [unowned self] in startNext() }

    private init(_ addresses: [SocketAddress], on reactor: Reactor) {
        self.reactor = reactor
        remaining = addresses[...]
    }

    /// Connects to the first address that accepts.
    ///
    /// - Parameters:
    ///   - timeout: nanoseconds for all addresses together.
    ///   - cancellation: gives up before that.
    /// - Throws: ``DialError`` of the last address that failed, or a time-out.
    package static func connect(
        to addresses: [SocketAddress], timeout: UInt64, cancellation: Cancellation? = nil, on reactor: Reactor
    ) async throws(DialError) -> (Socket, SocketAddress) {
        let connector = Connector(addresses, on: reactor)
        connector.overall.set(after: timeout)
        cancellation?.arm { [unowned connector] in
            connector.end(.failure(DialError(address: nil, error: IOError(.closed, "connect"))))
        }
        connector.startNext()
        if connector.outcome == nil { await withUnsafeContinuation { connector.waiter = $0 } }
        cancellation?.disarm()
        switch connector.outcome {
        case .success(let result): return result
        case .failure(let error): throw error
        case nil: throw DialError(address: nil, error: IOError(.closed, "connect"))
        }
    }

    /// RFC 8305 §4: the families in turn, beginning with that of the resolver's first address.
    package static func alternating(_ addresses: [IPAddress]) -> [IPAddress] {
        guard let first = addresses.first else { return [] }
        let same = addresses.filter { $0.isIPv4 == first.isIPv4 }
        let other = addresses.filter { $0.isIPv4 != first.isIPv4 }
        var result: [IPAddress] = []
        for index in 0..<max(same.count, other.count) {
            if index < same.count { result.append(same[index]) }
            if index < other.count { result.append(other[index]) }
        }
        return result
    }

    private func startNext() {
        guard outcome == nil else { return }
        guard let address = remaining.popFirst() else {
            if attempts.isEmpty {
                end(.failure(lastError ?? DialError(address: nil, error: IOError(.nameNotFound, "connect"))))
            }
            return
        }
        let descriptor = CLinux_socket(address.family)
        guard descriptor >= 0 else { return failed(address, .fromErrno("socket")) }
        _ = CLinux_set_flag(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, 1)
        let result = address.withSockaddr { Glibc.connect(descriptor, $0, $1) == 0 ? 0 : errno } ?? ENAMETOOLONG
        guard result == 0 || result == EINPROGRESS else {
            close(descriptor)
            if result == EAGAIN, case .unix = address {
                // connect(2): the listener's queue is full, and nothing says when it is not any more.
                remaining.insert(address, at: remaining.startIndex)
                return nextAttempt.set(after: Connector.queueDelay)
            }
            return failed(address, IOError(.system(result), "connect"))
        }
        let attempt = Attempt(address, descriptor, self)
        do { attempt.registration = try reactor.register(descriptor, attempt) } catch {
            close(descriptor)
            return failed(address, error)
        }
        attempts.append(attempt)
        if !remaining.isEmpty { nextAttempt.set(after: Connector.attemptDelay) }
    }

    private func failed(_ address: SocketAddress, _ error: IOError) {
        lastError = DialError(address: address, error: error)
        startNext()
    }

    private func finished(_ attempt: Attempt, _ error: CInt, sawHangUp: Bool) {
        attempts.removeAll { $0 === attempt }
        guard let registration = attempt.registration else { return }
        if error != 0 {
            reactor.deregister(registration)
            close(attempt.descriptor)
            return failed(attempt.address, IOError(.system(error), "connect"))
        }
        let socket = Socket(connected: attempt.descriptor, registration, sawHangUp: sawHangUp, on: reactor)
        end(.success((socket, attempt.address)))
    }

    private func end(_ result: Result<(Socket, SocketAddress), DialError>) {
        // The task is resumed later in the turn, and a deadline may pass before.
        guard outcome == nil else { return }
        outcome = result
        for attempt in attempts {
            if let registration = attempt.registration { reactor.deregister(registration) }
            close(attempt.descriptor)
        }
        attempts = []
        waiter?.resume()
        waiter = nil
    }
}

/// Why no connection to an upstream could be opened, and to which address.
package struct DialError: Error, CustomStringConvertible {
    package let address: SocketAddress?
    package let error: IOError

    package init(address: SocketAddress?, error: IOError) { (self.address, self.error) = (address, error) }

    /// For example `dial tcp 10.0.0.5:9000: connect: connection refused`.
    package var description: String {
        if case .unix(let path) = address { return "dial unix \(path): \(error)" }
        return address.map { "dial tcp \($0): \(error)" } ?? "dial tcp: \(error)"
    }
}
