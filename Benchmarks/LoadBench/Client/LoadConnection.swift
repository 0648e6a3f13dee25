import Glibc
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTLS

/// Told what happens on a connection of the load client. Calls may send, and may close the connection.
protocol ClientConnectionUser: AnyObject {
    /// TLS is up: requests may be sent.
    func connectionOpened(_ connection: LoadConnection)
    /// There is more in ``LoadConnection/plaintext``.
    func connectionReceived(_ connection: LoadConnection)
    /// The kernel has taken everything that was sent.
    func connectionDrained(_ connection: LoadConnection)
    /// The connection is over; `reason` is `nil` when the server ended it in order.
    func connectionEnded(_ connection: LoadConnection, _ reason: String?)
}

/// One connection of the load client: TCP, in tunnel mode the WebSocket, and TLS as a client.
///
/// Nothing is allocated for a request: received bytes lie in the shared scratch memory, and what is sent is encrypted and
/// framed in the shared staging buffer.
final class LoadConnection: ReadinessHandler {
    private enum Phase { case upgrading, handshaking, open, closed }

    private unowned let shared: ClientShared
    private unowned let user: any ClientConnectionUser
    /// Which of its user's connections it is.
    let index: Int
    private var descriptor: CInt = -1
    private var registration: Registration?
    private var phase = Phase.upgrading
    private let isTunnel: Bool
    /// In tunnel mode.
    private var transport: TunnelTransport?
    /// In direct mode.
    private var engine: TLSEngine?
    /// The start of a frame, or of the answer to the upgrade, whose rest has not come.
    private var partial = ByteBuffer()
    private var unsent = ByteBuffer()
    private var sawHangUp = false
    /// Leaves what comes with the kernel.
    var isDeaf = false
    /// Why sending failed; told next turn, because the user's own call may be what failed.
    private var failure: String?

    /// Decrypted bytes; whoever is told of them consumes them.
    var plaintext = ByteBuffer()
    /// For the user: when its request began, and how far its answer is.
    var started: UInt64 = 0
    var remaining = 0
    var answerSize = 0
    var sent = 0

    private static let maxReadsPerTurn = 4

    init(_ shared: ClientShared, index: Int, user: any ClientConnectionUser) {
        (self.shared, self.index, self.user) = (shared, index, user)
        isTunnel = shared.target.mode == .tunnel
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    /// Connects and shakes hands.
    func open(session: TLSClientSession? = nil) throws {
        started = Reactor.clock()
        let engine = try TLSEngine(client: shared.tls, serverName: shared.target.host(index), session: session)
        if isTunnel {
            transport = TunnelTransport(role: .client, engine: engine)
        } else {
            self.engine = consume engine
        }
        descriptor = try shared.connect()
        registration = try shared.reactor.register(descriptor, self)
        if isTunnel {
            shared.upgradeRequest.withUnsafeBytes { transmit($0) }
        } else {
            try startTLS()
        }
    }

    var isResumed: Bool { isTunnel ? transport?.isResumed ?? false : engine?.isResumed ?? false }
    var cipher: String { isTunnel ? transport?.cipher ?? "" : engine?.cipher ?? "" }
    var applicationProtocol: String? { isTunnel ? transport?.applicationProtocol : engine?.alpn }
    var session: TLSClientSession? { isTunnel ? transport?.session : engine?.session }
    var isClosed: Bool { phase == .closed }
    var unsentCount: Int { unsent.count }

    /// The head of an answer at the front of the plaintext; `nil` while it is not whole.
    func scanHead() -> ResponseHeadScan? {
        plaintext.withMutableBytes { ResponseHeadScan.scan(UnsafeRawBufferPointer($0)) }
    }

    // MARK: Sending

    /// Encrypts `bytes`, at most 32 KiB, and sends them as one frame.
    func send(_ bytes: UnsafeRawBufferPointer) {
        guard phase == .open else { return }
        shared.staging.removeAll()
        if isTunnel {
            transport?.write(bytes, output: &shared.staging)
        } else {
            do { try engine?.write(bytes, output: &shared.staging) } catch { return failNextTurn("\(error)") }
        }
        sendStaged()
    }

    /// Sends frames that the user has made; tunnel mode only.
    func sendFrames(_ bytes: UnsafeRawBufferPointer) {
        guard phase == .open else { return }
        transmit(bytes)
    }

    private func sendStaged() {
        guard !shared.staging.isEmpty else { return }
        shared.staging.withMutableBytes { transmit(UnsafeRawBufferPointer($0)) }
        shared.staging.removeAll()
    }

    private func transmit(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        if unsent.isEmpty {
            while !rest.isEmpty {
                let count = Glibc.send(descriptor, rest.baseAddress, rest.count, CInt(MSG_NOSIGNAL))
                if count >= 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                } else if errno == EAGAIN {
                    break
                } else if errno != EINTR {
                    return failNextTurn("send: \(String(cString: strerror(errno)))")
                }
            }
        }
        if !rest.isEmpty { unsent.append(rest) }
    }

    private func startTLS() throws {
        phase = .handshaking
        shared.staging.removeAll()
        if isTunnel {
            try transport?.start(output: &shared.staging)
        } else {
            try engine?.start(output: &shared.staging)
        }
        sendStaged()
    }

    /// Ends the connection at once, without leaving a port in TIME_WAIT.
    func close() {
        guard phase != .closed else { return }
        phase = .closed
        if let registration { shared.reactor.deregister(registration) }
        registration = nil
        guard descriptor >= 0 else { return }
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        Glibc.close(descriptor)
        descriptor = -1
    }

    private func failNextTurn(_ reason: String) {
        failure = reason
        continueNextTurn()
    }

    /// Asks for one more call of ``ClientConnectionUser/connectionDrained(_:)``, so that others get their turn.
    func continueNextTurn() {
        if let registration { shared.reactor.callAgain(registration) }
    }

    /// The server has ended the connection in order; what came before still counts.
    private func finish() {
        if phase == .open && !plaintext.isEmpty { user.connectionReceived(self) }
        fail(nil)
    }

    private func fail(_ reason: String?) {
        guard phase != .closed else { return }
        close()
        user.connectionEnded(self, reason)
    }

    // MARK: Receiving

    func ready(_ readiness: Readiness) {
        if readiness.contains(.hangUp) { sawHangUp = true }
        if readiness.contains(.write), !unsent.isEmpty {
            var rest = ByteBuffer()
            swap(&rest, &unsent)
            rest.withMutableBytes { transmit(UnsafeRawBufferPointer($0)) }
        }
        if let failure { return fail(failure) }
        if readiness.contains(.write) || readiness.isEmpty, unsent.isEmpty, phase == .open {
            user.connectionDrained(self)
        }
        if isDeaf {
            // Nobody reads to the end, so a hang-up is all that tells of it.
            if sawHangUp { fail("the server hung up") }
        } else if readiness.contains(.read) || readiness.isEmpty {
            pump()
        }
    }

    private func pump() {
        var reads = 0
        while phase != .closed {
            if reads == LoadConnection.maxReadsPerTurn {
                return continueNextTurn()
            }
            reads += 1
            let kept = partial.count
            let room = UnsafeMutableRawBufferPointer(rebasing: shared.scratch[kept...])
            let count = recv(descriptor, room.baseAddress, room.count, 0)
            if count > 0 {
                if kept > 0 {
                    partial.withMutableBytes { shared.scratch.copyMemory(from: UnsafeRawBufferPointer($0)) }
                    partial.removeAll()
                }
                take(UnsafeMutableRawBufferPointer(rebasing: shared.scratch[..<(kept + count)]))
                if count < room.count && !sawHangUp { return }
            } else if count == 0 {
                if phase == .open { return finish() }
                return fail("the server ended the connection in the handshake")
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                return fail("recv: \(String(cString: strerror(errno)))")
            }
        }
    }

    private func take(_ bytes: UnsafeMutableRawBufferPointer) {
        do {
            switch phase {
            case .upgrading: try takeUpgrade(bytes)
            case .handshaking, .open: if isTunnel { try takeFrames(bytes) } else { try takeRecords(bytes) }
            case .closed: return
            }
        } catch {
            return fail("\(error)")
        }
        if phase == .open && !plaintext.isEmpty { user.connectionReceived(self) }
    }

    private func takeUpgrade(_ bytes: UnsafeMutableRawBufferPointer) throws {
        let answer = UnsafeRawBufferPointer(bytes).bindMemory(to: UInt8.self)
        guard let response = try shared.handshake.check(answer.span) else {
            return partial.append(UnsafeRawBufferPointer(bytes))
        }
        try startTLS()
        if response.consumed < bytes.count {
            try takeFrames(UnsafeMutableRawBufferPointer(rebasing: bytes[response.consumed...]))
        }
    }

    private func takeFrames(_ bytes: UnsafeMutableRawBufferPointer) throws {
        shared.staging.removeAll()
        var rest = bytes
        var hasMore = true
        while hasMore, let progress = transport?.receive(rest, plaintext: &plaintext, output: &shared.staging) {
            rest = UnsafeMutableRawBufferPointer(rebasing: rest[progress.consumed...])
            hasMore = progress.hasMore
        }
        if !rest.isEmpty { partial.append(UnsafeRawBufferPointer(rest)) }
        sendStaged()
        if case .failed(let reason) = transport?.end { throw BenchError(reason) }
        if phase == .handshaking, transport?.isHandshakeComplete == true {
            phase = .open
            user.connectionOpened(self)
        }
        // Behind close_notify the WebSocket's own close follows.
        if transport?.isOpen == false { finish() }
    }

    private func takeRecords(_ bytes: UnsafeMutableRawBufferPointer) throws {
        shared.staging.removeAll()
        let progress = try engine?.process(
            UnsafeRawBufferPointer(bytes), plaintext: &plaintext, plaintextLimit: .max, output: &shared.staging)
        sendStaged()
        if progress?.handshakeCompleted == true {
            phase = .open
            user.connectionOpened(self)
        }
        if progress?.isClosed == true { finish() }
    }
}
