import Glibc
import TunnelCore
import TunnelIO

/// A server on 127.0.0.1 that treats its connections, one after another, as a script says.
final class ScriptedServer: Sendable {
    let address: SocketAddress
    private let script: OnThread<Bool>

    /// - Parameter steps: one for each connection, which closes when its step is done with the peer.
    init(_ steps: @Sendable (Peer) throws -> Void...) throws {
        let listener = try Listener(.loopback(0), isShared: false)
        address = listener.address
        script = OnThread {
            do { for step in steps { try step(listener.accept()) } } catch { return false }
            return true
        }
    }

    /// Waits until every step has run; `false` when one failed.
    func isDone() -> Bool { script.value() ?? false }

    func endpoint(isSecure: Bool = false, host: String = "127.0.0.1", proxy: HTTPEndpoint.Proxy? = nil) -> HTTPEndpoint {
        HTTPEndpoint(isSecure: isSecure, host: host, port: address.port, proxy: proxy)
    }
}

extension Peer {
    /// A request's head with its final empty line, read byte by byte so that nothing behind it is taken.
    func receiveHead() throws -> String {
        var bytes: [UInt8] = []
        while !bytes.ends(with: "\r\n\r\n") {
            guard let byte = receive(atMost: 1)?.first else { throw TestError("no whole head") }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Reads a request that has no body, and answers it.
    func answer(_ text: String) throws {
        _ = try receiveHead()
        send(text)
    }
}

extension [UInt8] {
    fileprivate func ends(with text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}

/// A whole answer that leaves the connection open.
func okay(_ body: String = "ok") -> String {
    "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
}
