import Glibc
import TunnelIO
import TunnelProxy

/// Socket activation, by sd_listen_fds(3): sockets that the service manager has bound and keeps, so that a restart of the
/// proxy refuses no connection. `mcp-proxy upgrade` passes those of the process before in the same way.
enum PassedSockets {
    /// The first descriptor that is passed.
    private static let first: CInt = 3
    /// More are not ours: the proxy has a listener for each loop, and one for the operator.
    private static let most = 249

    /// Takes over what was passed to this process; nothing, where nothing was.
    ///
    /// - Throws: a complaint that names the descriptor and a remedy.
    static func adopt(_ environment: ManagerEnvironment) throws(ManagerEnvironment.Complaint) -> PassedListeners {
        let hasPredecessor = environment.readyDescriptor != nil
        var listeners = PassedListeners(source: hasPredecessor ? .predecessor : .serviceManager)
        for (name, descriptor) in try descriptors(environment) {
            let listener: Listener
            do throws(IOError) { listener = try Listener(adopting: descriptor, ownsFile: hasPredecessor) } catch {
                let remedy = "pass a listening TCP or Unix stream socket, ListenStream= of a socket unit"
                throw ManagerEnvironment.Complaint(
                    "LISTEN_FDS: descriptor \(descriptor), \(name.rawValue): \(error.reason) (\(remedy))")
            }
            switch name {
            case .proxy: listeners.proxy.append(listener)
            case .admin: listeners.admin = listener
            }
        }
        return listeners
    }

    enum Name: String, CaseIterable {
        case proxy, admin
    }

    /// Which descriptor is which listener.
    static func descriptors(
        _ environment: ManagerEnvironment
    ) throws(ManagerEnvironment.Complaint) -> [(name: Name, descriptor: CInt)] {
        let hasPredecessor = environment.readyDescriptor != nil
        guard let text = environment["LISTEN_FDS"], hasPredecessor || environment["LISTEN_PID"] != nil,
            environment.isForUs(by: "LISTEN_PID")
        else { return [] }
        guard let count = Int(text), (0...most).contains(count) else {
            throw ManagerEnvironment.Complaint("LISTEN_FDS: \(text) is no number from 0 to \(most)")
        }
        let names = environment["LISTEN_FDNAMES"].map {
            $0.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        }
        if let names, names.count != count {
            throw ManagerEnvironment.Complaint("LISTEN_FDNAMES: \(names.count) names for \(count) descriptors")
        }
        var found: [(name: Name, descriptor: CInt)] = []
        for index in 0..<count {
            let descriptor = first + CInt(index)
            // Who passes one without names, as inetd's successors do, means the listener that there always is.
            let text = names?[index] ?? Name.proxy.rawValue
            guard let name = Name(rawValue: text) else {
                let known = Name.allCases.map(\.rawValue).joined(separator: " or ")
                throw ManagerEnvironment.Complaint(
                    "LISTEN_FDNAMES: descriptor \(descriptor) is named \(text) (write FileDescriptorName=\(known))")
            }
            // Those of a predecessor share a port: one for each of its loops.
            guard hasPredecessor && name == .proxy || !found.contains(where: { $0.name == name }) else {
                throw ManagerEnvironment.Complaint(
                    "LISTEN_FDS: more than one socket named \(text) (leave one ListenStream= in the socket unit)")
            }
            found.append((name, descriptor))
        }
        return found
    }
}
