import Glibc
import TunnelCore
import TunnelIO

/// `tunnel-bench upstream`: the server behind what is measured, on one thread. It prints its port and serves until its
/// standard input ends, so that it never outlives the process that started it.
///
/// | request | answer |
/// |---|---|
/// | `POST /mcp` | a small JSON body |
/// | `POST /upload` | the same, when the whole body has come |
/// | `GET /download/BYTES` | as many bytes |
/// | `GET /events/RATE` | an event stream; rate 0 stays silent behind the first event |
final class UpstreamServer {
    let reactor: Reactor
    let ticker: EventTicker
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 64)
    /// What downloads are made of.
    let block = [UInt8](repeating: UInt8(ascii: "y"), count: 128 * 1024)
    let smallAnswer: [UInt8]
    private var acceptor: Acceptor?
    private var connections: [ObjectIdentifier: UpstreamConnection] = [:]

    init(_ reactor: Reactor) {
        self.reactor = reactor
        ticker = EventTicker(reactor)
        let body = #"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"42"}],"isError":false}}"#
        smallAnswer = Array(
            """
            HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)
            """.utf8)
    }

    deinit { scratch.deallocate() }

    static func run() throws -> Never {
        let loop = try Loop()
        loop.spawn { loop in
            do {
                let server = UpstreamServer(loop.reactor)
                loop.reactor.context = server
                let address = SocketAddress.ip(IPAddress(v4: 0x7F00_0001), port: 0)
                let listener = try Listener(address, isShared: false)
                try server.accept(from: listener)
                Output.write("\(listener.address)\n")
            } catch {
                Output.complain("tunnel-bench upstream: \(error)")
                exit(1)
            }
        }
        loop.run()
        exit(1)
    }

    private func accept(from listener: Listener) throws {
        acceptor = try Acceptor(listener, on: reactor, isShared: false) { [unowned self] descriptor, _ in
            do {
                let connection = try UpstreamConnection(descriptor, self)
                connections[ObjectIdentifier(connection)] = connection
            } catch {
                Output.complain("tunnel-bench upstream: \(error)")
            }
        } failed: { error in
            Output.complain("tunnel-bench upstream: \(error)")
        }
        _ = try reactor.register(0, ParentWatch())
    }

    func forget(_ connection: UpstreamConnection) { connections[ObjectIdentifier(connection)] = nil }
}

/// Ends this process when the one that holds the other end of its standard input has ended.
private final class ParentWatch: ReadinessHandler {
    func ready(_ readiness: Readiness) {
        var byte: UInt8 = 0
        if readiness.contains(.hangUp) || read(0, &byte, 1) == 0 { exit(0) }
    }
}
