internal import Glibc
internal import TunnelCore
package import TunnelIO

/// The listeners of a proxy: one for each loop on the same port, or one that all loops share, which is a Unix socket or was
/// passed to the process.
package struct ListenerSet {
    /// Each once.
    package let listeners: [Listener]
    let address: SocketAddress
    /// How many loops there are.
    private let count: Int

    /// - Parameters:
    ///   - access: who may connect to a Unix socket.
    ///   - passed: sockets that listen already; then none is bound. They have to be at the wanted address: others go by what
    ///     the configuration says, such as the health check.
    package init(
        _ wanted: ListenAddress, access: SocketFile.Access = SocketFile.Access(), count: Int, passed: [Listener] = []
    ) throws {
        self.count = count
        if let first = passed.first {
            for listener in passed { try ListenerSet.check(listener, against: wanted, of: "listen_addr") }
            listeners = passed
            address = first.address
            return
        }
        switch wanted {
        case .unix(let path):
            listeners = [try ListenerSet.bind(path, access)]
        case .tcp(let ip, let port):
            // SO_REUSEPORT would let a second proxy bind the same port and take half of the connections unseen. A
            // listener without it finds out.
            if port > 0 { _ = try ListenerSet.bindFirst(ip, port, isShared: false) }
            let first = try ListenerSet.bindFirst(ip, port, isShared: true)
            // Port 0 became a real one with the first.
            var all = [first]
            while all.count < count { all.append(try ListenerSet.bind(first.address, isShared: true)) }
            listeners = all
        }
        address = listeners[0].address
    }

    /// Whether several loops accept from the same listener.
    var isShared: Bool { listeners.count < count }

    /// Those that a loop accepts from: each has some, and each of them has a loop.
    func listeners(ofLoop index: Int) -> [Listener] {
        if isShared { return [listeners[index % listeners.count]] }
        return stride(from: index, to: listeners.count, by: count).map { listeners[$0] }
    }

    private static func bindFirst(_ ip: IPAddress?, _ port: UInt16, isShared: Bool) throws -> Listener {
        if let ip { return try bind(.ip(ip, port: port), isShared: isShared) }
        // Without an address all are meant: the IPv6 wildcard takes both families where there is IPv6.
        do throws(IOError) {
            return try Listener(.ip(IPAddress(v6High: 0, low: 0), port: port), isShared: isShared)
        } catch  where error.code != .system(EADDRINUSE) {
            return try bind(.ip(IPAddress(v4: 0), port: port), isShared: isShared)
        } catch {
            throw refusal("listen tcp :\(port)", .ip(IPAddress(v4: 0), port: port), error)
        }
    }

    private static func bind(_ path: String, _ access: SocketFile.Access) throws -> Listener {
        do throws(IOError) { return try Listener(.unix(path: path), isShared: false, access: access) } catch {
            throw ProxyError("listen unix \(path): \(error)")
        }
    }

    private static func bind(_ address: SocketAddress, isShared: Bool) throws -> Listener {
        do throws(IOError) { return try Listener(address, isShared: isShared) } catch {
            throw refusal("listen tcp \(address)", address, error)
        }
    }

    private static func refusal(_ what: String, _ address: SocketAddress, _ error: IOError) -> ProxyError {
        guard case .ip(_, let port) = address else { return ProxyError("\(what): \(error)") }
        let remedy: String? =
            switch error.code {
            case .system(EADDRINUSE):
                "`ss -ltnp 'sport = :\(port)'` names who listens there: stop it, or write another port"
            case .system(EADDRNOTAVAIL):
                "this machine or container has not that address; `ip address` shows those that it has"
            case .system(EACCES): "ports below 1024 take CAP_NET_BIND_SERVICE: write a higher one"
            default: nil
            }
        return ProxyError("\(what): \(error)\(remedy.map { " (\($0))" } ?? "")")
    }

    private static func check(_ passed: Listener, against wanted: ListenAddress?, of field: String) throws {
        guard let wanted, wanted.isMet(by: passed.address) else {
            let configured = wanted.map { "\($0)" } ?? "not set"
            let remedy = "write the same in \(field) and in ListenStream= of the socket unit"
            throw ProxyError(
                "\(field): \(configured), but the socket that was passed listens at \(passed.address) (\(remedy))")
        }
    }

    /// The admin listener, if there is to be one; a Unix socket is for who may use that of the tunnel.
    ///
    /// - Parameter passed: as for the tunnel's listener.
    static func admin(_ configuration: ProxyConfiguration, passed: Listener? = nil) throws -> Listener? {
        if let passed {
            try check(passed, against: configuration.adminAddress, of: "admin_addr")
            return passed
        }
        switch configuration.adminAddress {
        case .unix(let path): return try bind(path, access(configuration))
        case .tcp(let ip, let port): return try bindFirst(ip, port, isShared: false)
        case nil: return nil
        }
    }

    /// Reads what the configuration says of a Unix socket.
    static func access(_ configuration: ProxyConfiguration) throws -> SocketFile.Access {
        var access = SocketFile.Access(mode: UInt32(clamping: configuration.listenMode))
        guard configuration.hasSocketFile, let name = configuration.listenGroup else { return access }
        guard let group = SystemGroup.number(of: name) else {
            let remedy = "create it, or write the number of a group"
            throw ProxyError("listen_group: no group \"\(Diagnostic.excerpt(name))\" on this system (\(remedy))")
        }
        access.group = group
        return access
    }

    /// What the policy must know to never dial the proxy itself.
    var own: [UpstreamPolicy.Listener] { Self.policyListeners(of: address) }

    static func policyListeners(of address: SocketAddress) -> [UpstreamPolicy.Listener] {
        guard case .ip(let ip, let port) = address else { return [] }
        return [UpstreamPolicy.Listener(address: ip, port: port)]
    }
}

extension ProxyConfiguration {
    fileprivate var hasSocketFile: Bool {
        if case .unix = listenAddress { return true }
        if case .unix = adminAddress { return true }
        return false
    }
}
