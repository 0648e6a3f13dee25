import Glibc
import TunnelCore
import TunnelIO
import TunnelProxy

/// Finds the proxies that run here, and has them reload.
struct ReloadClient {
    /// For reading the file, the CA files that it names, and a look at the certificate.
    static let verdictTimeout = 60
    /// A verdict holds a line for each error of a file of 1 MiB at most.
    private static let maxReply = 4 << 20

    /// A proxy that answered, and by which socket.
    struct Found: Equatable {
        let name: String
        let proxy: ReloadMessage.Proxy
        /// Whose it is.
        let user: uid_t
    }

    /// What is there to be reloaded.
    struct Search: Equatable {
        var found: [Found] = []
        /// Sockets of other users, who do not listen to us, and to whom we do not listen.
        var strangers: [uid_t] = []
        /// Why others that are this user's did not answer.
        var silent: [String] = []
    }

    /// Asks every proxy in this network namespace who it is.
    static func search() throws -> Search {
        var search = Search()
        for name in names(in: try FileBytes.read("/proc/self/net/unix", limit: 64 << 20)) {
            do throws(IOError) {
                let socket = try AbstractSocket.connect(name)
                guard let user = socket.peerUser, isHeard(user) else {
                    search.strangers.append(socket.peerUser ?? 0)
                    continue
                }
                // One that does not listen to us may have hung up already, and its reply says so.
                try? socket.send(ReloadMessage.Request.describe.rawValue)
                switch ReloadMessage.Reply(try socket.receive(limit: maxReply)) {
                case .proxy(let proxy): search.found.append(Found(name: name, proxy: proxy, user: user))
                case .stranger: search.strangers.append(user)
                case .verdict, .listeners, .leaving, .stays, .stopping, nil:
                    search.silent.append("it did not say who it is")
                }
            } catch {
                // One that ended meanwhile is none that could be reloaded.
                if error.code != .system(ECONNREFUSED) { search.silent.append(error.description) }
            }
        }
        return search
    }

    /// Has a proxy read its configuration again.
    static func reload(_ found: Found) throws(IOError) -> ConfigurationReloader.Verdict {
        let socket = try AbstractSocket.connect(found.name)
        socket.wait(seconds: verdictTimeout)
        try socket.send(ReloadMessage.Request.reload.rawValue)
        guard case .verdict(let verdict) = ReloadMessage.Reply(try socket.receive(limit: maxReply)) else {
            throw IOError(.endOfStream, "read")
        }
        return verdict
    }

    /// What a proxy hands to the process that takes its place.
    struct Offer {
        let standardError: CInt
        let names: [PassedSockets.Name]
        /// As many as names.
        let listeners: [CInt]
        let arguments: [String]

        func close() { for descriptor in [standardError] + listeners { Glibc.close(descriptor) } }
    }

    /// - Throws: also where the proxy hangs up, which it does when it is not to be handed on.
    static func listeners(of found: Found) throws(IOError) -> Offer {
        let socket = try AbstractSocket.connect(found.name)
        try socket.send(ReloadMessage.Request.listeners.rawValue)
        var descriptors: [CInt] = []
        do throws(IOError) {
            let reply = ReloadMessage.Reply(try socket.receive(limit: maxReply, descriptors: &descriptors))
            guard case .listeners(let names, let arguments) = reply, descriptors.count == names.count + 1 else {
                throw IOError(.endOfStream, "read")
            }
            return Offer(
                standardError: descriptors[0], names: names, listeners: Array(descriptors.dropFirst()),
                arguments: arguments)
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw error
        }
    }

    /// Tells a proxy that the process that it handed its listeners to does not serve.
    static func withdraw(_ found: Found) throws(IOError) { try tell(found, .withdraw, expecting: .stays) }

    /// Tells a proxy that another process serves in its place.
    static func leave(_ found: Found) throws(IOError) { try tell(found, .leave, expecting: .leaving) }

    /// Has a proxy drain and end.
    static func stop(_ found: Found) throws(IOError) { try tell(found, .stop, expecting: .stopping) }

    private static func tell(
        _ found: Found, _ request: ReloadMessage.Request, expecting reply: ReloadMessage.Reply
    ) throws(IOError) {
        let socket = try AbstractSocket.connect(found.name)
        try socket.send(request.rawValue)
        guard ReloadMessage.Reply(try socket.receive(limit: 64)) == reply else { throw IOError(.endOfStream, "read") }
    }

    /// The words of another user are not printed as a proxy's, but root's question is for all.
    private static func isHeard(_ user: uid_t) -> Bool { user == geteuid() || geteuid() == 0 }

    /// The names of listening sockets of ours in the kernel's list (proc_net_unix(5)): the fields' flags say that it
    /// listens, and the last field is the name, with `@` for the zero that marks it as abstract.
    static func names(in list: [UInt8]) -> [String] {
        list.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(separator: UInt8(ascii: " "))
            guard fields.count == 8, fields[3].elementsEqual("00010000".utf8) else { return nil }
            let name = String(decoding: fields[7], as: UTF8.self)
            return name.hasPrefix("@\(ReloadServer.prefix)") ? String(name.dropFirst()) : nil
        }
    }
}
