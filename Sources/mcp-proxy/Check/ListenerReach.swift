import Glibc
import TunnelCore
import TunnelIO
import TunnelProxy

/// Who can reach a listener, as far as this machine's interfaces tell.
enum ListenerReach {
    /// Names of interfaces behind which only containers and virtual machines of this host are.
    private static let inner = ["lo", "docker", "br-", "veth", "cni", "podman", "virbr", "lxc", "flannel", "cali"]
    /// What container engines leave in a container.
    private static let marks = ["/.dockerenv", "/run/.containerenv"]

    /// Why a listener is reached from beyond this host and its containers; `nil` where it is not, or where it cannot be known:
    /// in a container the network outside is the engine's business.
    static func beyondHost(
        _ listener: ListenAddress, by interfaces: [(name: String, address: IPAddress)] = SocketAddress.interfaces(),
        isContainer: Bool = ListenerReach.isContainer
    ) -> String? {
        guard case .tcp(let address, _) = listener, !isContainer else { return nil }
        let open = interfaces.filter { name, own in
            !inner.contains(where: name.hasPrefix)
                && (address == nil || address?.isUnspecified == true || own == address)
                && !linkLocal.contains(own)
        }
        guard let (name, own) = open.first else { return nil }
        return "listen_addr \(listener) can be reached at \(own) through \(name)"
    }

    private static var isContainer: Bool {
        getenv("KUBERNETES_SERVICE_HOST") != nil || getenv("container") != nil
            || marks.contains { access($0, F_OK) == 0 }
    }

    /// No other network reaches these (RFC 4291 §2.5.6).
    private static let linkLocal = IPPrefix(masking: IPAddress(v6High: 0xFE80 << 48, low: 0), length: 10)
}
