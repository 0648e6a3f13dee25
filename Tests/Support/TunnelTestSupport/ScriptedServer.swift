internal import Synchronization
package import TunnelIO

/// A server on 127.0.0.1 that treats its connections, one after another, as a script says.
package final class ScriptedServer: Sendable {
    package let address: SocketAddress
    package var port: UInt16 { address.port }
    private let script: OnThread<Bool>

    /// - Parameter steps: one for each connection, which closes when its step is done with the peer.
    package init(_ steps: @Sendable (Peer) throws -> Void...) throws {
        let listener = try Listener(.loopback(0), isShared: false)
        address = listener.address
        let open = Mutex<Listener?>(listener)
        script = OnThread {
            do {
                for (index, step) in steps.enumerated() {
                    guard let peer = try open.withLock({ try $0?.accept() }) else { return false }
                    // Whoever comes more often than the script has it is refused.
                    if index == steps.count - 1 { open.withLock { $0 = nil } }
                    try step(peer)
                }
            } catch { return false }
            return true
        }
    }

    /// Waits until every step has run; `false` when one failed.
    package func isDone() -> Bool { script.value() ?? false }
}

/// Keeps connections open until the test is over.
package final class OpenPeers: Sendable {
    private let peers = Mutex<[Peer]>([])

    package init() {}

    package func keep(_ peer: Peer) { peers.withLock { $0.append(peer) } }
}

extension Peer {
    /// A request's head with its final empty line, read byte by byte so that nothing behind it is taken.
    package func receiveHead() throws -> String {
        var bytes: [UInt8] = []
        while !bytes.ends(with: "\r\n\r\n") {
            guard let byte = receive(atMost: 1)?.first else { throw TestError("no whole head") }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Reads a request that has no body, and answers it.
    package func answer(_ text: String) throws {
        _ = try receiveHead()
        send(text)
    }
}

extension [UInt8] {
    fileprivate func ends(with text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}

extension TLSPeer {
    package func receiveHead() throws -> String {
        var text = ""
        while !text.hasSuffix("\r\n\r\n") {
            let byte = try receive(exactly: 1)
            if byte.isEmpty { throw TestError("no whole head") }
            text += byte
        }
        return text
    }

    /// Reads a request that has no body, and answers it.
    package func answer(_ text: String) throws {
        _ = try receiveHead()
        try send(text)
    }
}

/// A whole response that leaves the connection open.
package func okay(_ body: String = "ok") -> String {
    "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
}
