internal import Glibc
internal import TunnelCore
package import TunnelIO

/// The listeners of a proxy: one for each loop on the same port, or one Unix socket that all loops share.
package struct ListenerSet {
    /// One for each loop.
    package let listeners: [Listener]
    let address: SocketAddress
    let isShared: Bool

    /// - Parameter access: who may connect to a Unix socket.
    package init(
        _ wanted: ListenAddress, access: SocketFile.Access = SocketFile.Access(), count: Int
    ) throws {
        switch wanted {
        case .unix(let path):
            let listener = try ListenerSet.bind(path, access)
            listeners = Array(repeating: listener, count: count)
            isShared = count > 1
        case .tcp(let ip, let port):
            // SO_REUSEPORT would let a second proxy bind the same port and take half of the connections unseen. A
            // listener without it finds out.
            if port > 0 { _ = try ListenerSet.bindFirst(ip, port, isShared: false) }
            let first = try ListenerSet.bindFirst(ip, port, isShared: true)
            // Port 0 became a real one with the first.
            var all = [first]
            while all.count < count { all.append(try ListenerSet.bind(first.address, isShared: true)) }
            listeners = all
            isShared = false
        }
        address = listeners[0].address
    }

    private static func bindFirst(_ ip: IPAddress?, _ port: UInt16, isShared: Bool) throws -> Listener {
        if let ip { return try bind(.ip(ip, port: port), isShared: isShared) }
        // Without an address all are meant: the IPv6 wildcard takes both families where there is IPv6.
        do throws(IOError) {
            return try Listener(.ip(IPAddress(v6High: 0, low: 0), port: port), isShared: isShared)
        } catch  where error.code != .system(EADDRINUSE) {
            return try bind(.ip(IPAddress(v4: 0), port: port), isShared: isShared)
        } catch {
            throw ProxyError("listen tcp :\(port): \(error)")
        }
    }

    private static func bind(_ path: String, _ access: SocketFile.Access) throws -> Listener {
        do throws(IOError) { return try Listener(.unix(path: path), isShared: false, access: access) } catch {
            throw ProxyError("listen unix \(path): \(error)")
        }
    }

    private static func bind(_ address: SocketAddress, isShared: Bool) throws -> Listener {
        do throws(IOError) { return try Listener(address, isShared: isShared) } catch {
            throw ProxyError("listen tcp \(address): \(error)")
        }
    }

    /// The admin listener, if there is to be one; a Unix socket is for who may use that of the tunnel.
    static func admin(_ configuration: ProxyConfiguration) throws -> Listener? {
        switch configuration.adminAddress {
        case .unix(let path): try bind(path, access(configuration))
        case .tcp(let ip, let port): try bindFirst(ip, port, isShared: false)
        case nil: nil
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
