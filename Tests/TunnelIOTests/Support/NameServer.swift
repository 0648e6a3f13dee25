import Glibc
import Synchronization
import TunnelIO

/// A name server on a UDP port of the loopback address (RFC 1035 §4).
final class NameServer: Sendable {
    enum Behaviour { case address([UInt8]), noSuchName, failure, silence }

    let port: UInt16
    private let descriptor: CInt
    private let thread: OnThread<Bool>
    private let isOver = Flag()

    init(_ behaviour: Behaviour) throws {
        let descriptor = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw TestError("bind") }
        (self.descriptor, port) = (descriptor, UInt16(bigEndian: address.sin_port))
        let isOver = isOver
        thread = OnThread {
            while !isOver.isSet { NameServer.serveOne(descriptor, behaviour) }
            return true
        }
    }

    deinit {
        isOver.set()
        _ = thread.value()
        close(descriptor)
    }

    private static func serveOne(_ descriptor: CInt, _ behaviour: Behaviour) {
        var readiness = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&readiness, 1, 50) == 1 else { return }
        var (peer, length) = (sockaddr_storage(), socklen_t(MemoryLayout<sockaddr_storage>.size))
        var query = [UInt8](repeating: 0, count: 512)
        withUnsafeMutablePointer(to: &peer) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { peer in
                let count = recvfrom(descriptor, &query, query.count, 0, peer, &length)
                guard count > 12, let reply = reply(to: Array(query[..<count]), behaviour) else { return }
                _ = sendto(descriptor, reply, reply.count, 0, peer, length)
            }
        }
    }

    private static func reply(to query: [UInt8], _ behaviour: Behaviour) -> [UInt8]? {
        // The question is the name's labels, a zero, the type and the class.
        guard let zero = query[12...].firstIndex(of: 0), query.count >= zero + 5 else { return nil }
        let question = query[12..<(zero + 5)]
        let isForIPv4 = query[zero + 2] == 1
        func header(_ code: UInt8, answers: UInt8) -> [UInt8] {
            query[..<2] + [0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0] + question
        }
        switch behaviour {
        case .silence: return nil
        case .failure: return header(2, answers: 0)
        case .noSuchName: return header(3, answers: 0)
        case .address(let bytes):
            if !isForIPv4 { return header(0, answers: 0) }
            return header(0, answers: 1) + [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4] + bytes
        }
    }

    /// Asks the system for `name` on the calling thread, which from now on knows this server only and gives it a second.
    func ask(_ name: String) -> NameService.Outcome? {
        // The resolver's state belongs to the thread. Its beginning is the same everywhere: two numbers for time and
        // tries, a word of options, the number of servers, and the servers.
        typealias Initialise = @convention(c) () -> CInt
        typealias State = @convention(c) () -> UnsafeMutableRawPointer
        guard let initialise = dlsym(nil, "__res_init"), let state = dlsym(nil, "__res_state"),
            unsafeBitCast(initialise, to: Initialise.self)() == 0
        else { return nil }
        let resolver = unsafeBitCast(state, to: State.self)()
        var server = sockaddr_in()
        server.sin_family = sa_family_t(AF_INET)
        server.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        server.sin_port = port.bigEndian
        resolver.storeBytes(of: 1, as: CInt.self)
        resolver.storeBytes(of: 1, toByteOffset: 4, as: CInt.self)
        resolver.storeBytes(of: 1, toByteOffset: 16, as: CInt.self)
        resolver.storeBytes(of: server, toByteOffset: 20, as: sockaddr_in.self)
        return NameService.ask(name)
    }
}
