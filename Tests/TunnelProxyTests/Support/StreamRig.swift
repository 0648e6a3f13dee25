import Glibc
import TunnelCore
import TunnelIO
import TunnelTLS
import TunnelTestSupport

@testable import TunnelProxy

/// A tunnel stream on a loop and its far side, with the bytes between them in the test's hand.
///
/// What the far side sends is collected; the test delivers it, in pieces of its choice. The stream is told at once, as
/// the loop would tell it.
final class StreamRig {
    let reactor: Reactor
    let socket: Socket
    let stream: TunnelStream
    let far: FarSide
    /// Writes to, and reads from, the stream's socket.
    let wire: Peer
    private let collector: Peer

    init(
        on reactor: Reactor, settings: TunnelStream.Settings = TunnelStream.Settings(), early: [UInt8] = [],
        starts: Bool = true
    ) throws {
        self.reactor = reactor
        let pair = try TestIdentity.shared.get()
        let context = try TLSServerContext(
            identity: TLSIdentity(certificates: pair.certificate, privateKey: pair.key))
        let (descriptor, wire) = try socketPair()
        let (collecting, farEnd) = try socketPair()
        self.wire = wire
        collector = Peer(collecting)
        far = try FarSide(farEnd)
        socket = try Socket(adopting: descriptor, on: reactor)
        stream = TunnelStream(
            socket, on: reactor, engine: try TLSEngine(server: context), deflate: nil, settings: settings,
            metrics: WorkerMetrics())
        if starts { stream.start(early: early) }
    }

    deinit { socket.close() }

    /// What the far side said and the stream's reader has taken so far.
    private var taken = ByteBuffer()

    /// Takes what there is, at most `limit` bytes in all.
    @discardableResult
    func take(limit: Int = .max) -> [UInt8] {
        _ = try? stream.receive(into: &taken, limit: limit)
        return taken.array
    }

    func consume(_ count: Int) { taken.consume(count) }

    /// Gives bytes to the stream.
    func deliver(_ bytes: [UInt8]) {
        wire.send(bytes)
        socket.ready(.read)
    }

    /// What the far side has sent since.
    func collect() -> [UInt8] { collector.receiveNow() }

    /// Hands the stream's bytes to the far side.
    func answer() throws { try far.take(wire.receiveNow()) }

    /// The handshake, with everything delivered as it comes.
    func shakeHands() throws {
        deliver(try far.firstFlight())
        try answer()
        deliver(collect())
        try answer()
    }
}

extension Peer {
    /// What is there, without waiting.
    func receiveNow() -> [UInt8] {
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let count = recv(descriptor, &chunk, chunk.count, CInt(MSG_DONTWAIT)), count > 0 {
            all += chunk[..<count]
        }
        return all
    }
}
