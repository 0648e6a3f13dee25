import Glibc
import Synchronization
import TunnelCore
import TunnelIO
import TunnelProxy

/// What the proxy tells the service manager that has started it, as a unit of `Type=notify` does: that it serves, that it
/// reloads, that it stops, in a line of words how it is, and again and again that its loops still turn.
///
/// Without a manager that listens all of it does nothing. A manager that cannot be reached is told of in the log, once: the
/// proxy serves all the same.
final class ServiceManager: ConfigurationReloader.Observer {
    private let socket: NotifySocket?
    /// How often to say that the loops turn; `nil` where nobody waits for it.
    let watchdog: Duration?
    private let complaints: [String]

    enum Phase {
        case starting, serving, draining
    }

    private struct State {
        var log: Log?
        var hasFailed = false
        var phase = Phase.starting
        var status = ""
        var hasRefusedReload = false
    }
    private let state = Mutex(State())

    init(_ environment: ManagerEnvironment) {
        var complaints: [String] = []
        var (socket, watchdog) = (NotifySocket?.none, Duration?.none)
        do throws(ManagerEnvironment.Complaint) {
            if let name = environment["NOTIFY_SOCKET"] { socket = try NotifySocket(name) }
        } catch { complaints.append(error.description) }
        do throws(ManagerEnvironment.Complaint) { watchdog = try Self.watchdog(environment) } catch {
            complaints.append(error.description)
        }
        (self.socket, self.watchdog, self.complaints) = (socket, socket == nil ? nil : watchdog, complaints)
    }

    /// Within which time the manager wants to hear from us; half of it is left for a busy machine (sd_watchdog_enabled(3)).
    static func watchdog(_ environment: ManagerEnvironment) throws(ManagerEnvironment.Complaint) -> Duration? {
        guard let text = environment["WATCHDOG_USEC"], environment.isForUs(by: "WATCHDOG_PID") else { return nil }
        guard let microseconds = Int64(text), microseconds > 0 else {
            throw ManagerEnvironment.Complaint("WATCHDOG_USEC: \(text) is no number of microseconds")
        }
        return .microseconds(max(1, microseconds / 2))
    }

    var isThere: Bool { socket != nil }

    /// From now on failures are told there; what was wrong with the variables is told at once.
    func report(to log: Log) {
        state.withLock { $0.log = log }
        for complaint in complaints { log(.warn, "service manager is not told") { $0.field("error", complaint) } }
    }

    // MARK: What is told

    func ready(_ server: ProxyServer) {
        state.withLock { $0.phase = .serving }
        send(["READY=1", newStatus(of: server)].compactMap { $0 })
    }

    func reloadBegins() {
        // Of one that comes before the start is over, or behind its end, READY=1 would say what is not so.
        guard state.withLock({ $0.phase == .serving }) else { return }
        send(["RELOADING=1", "MONOTONIC_USEC=\(Reactor.clock() / 1000)"])
    }

    func reloadEnded(_ verdict: ConfigurationReloader.Verdict) {
        let isServing = state.withLock { state in
            if case .refused = verdict { state.hasRefusedReload = true } else { state.hasRefusedReload = false }
            return state.phase == .serving
        }
        if isServing { send(["READY=1"]) }
    }

    func stopping(_ server: ProxyServer) {
        state.withLock { $0.phase = .draining }
        send(["STOPPING=1", newStatus(of: server)].compactMap { $0 })
    }

    /// Sends what is new: that the loops turn, where it is time for that, and the line of words, where it has changed.
    func tell(_ server: ProxyServer, loopsTurn: Bool) {
        let news = [loopsTurn ? "WATCHDOG=1" : nil, newStatus(of: server)].compactMap { $0 }
        if !news.isEmpty { send(news) }
    }

    // MARK: Status

    /// The line that `systemctl status` shows, where it is another one than before.
    private func newStatus(of server: ProxyServer) -> String? {
        let (tunnels, requests) = (server.connections, server.requestsInFlight)
        let end = UnixTime(seconds: server.certificateEnd)
        return state.withLock { state in
            let status = Self.status(
                phase: state.phase, tunnels: tunnels, requests: requests, certificateEnd: end,
                hasRefusedReload: state.hasRefusedReload)
            guard status != state.status else { return nil }
            state.status = status
            return "STATUS=\(status)"
        }
    }

    static func status(
        phase: Phase, tunnels: Int, requests: Int, certificateEnd: UnixTime, hasRefusedReload: Bool
    ) -> String {
        var parts = [
            "\(phase): tunnels \(tunnels), requests under way \(requests)",
            "certificate ends \(certificateEnd)",
        ]
        if hasRefusedReload { parts.append("the last reload was refused, see the log") }
        return parts.joined(separator: "; ")
    }

    func send(_ assignments: [String]) {
        guard let socket, let failure = socket.send(assignments) else { return }
        let log = state.withLock { state in
            defer { state.hasFailed = true }
            return state.hasFailed ? nil : state.log
        }
        log?(.warn, "service manager is not told") { $0.field("error", "NOTIFY_SOCKET: sendto: \(failure)") }
    }
}
