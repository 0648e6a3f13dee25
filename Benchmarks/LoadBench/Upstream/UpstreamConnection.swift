import Glibc
import TunnelCore
import TunnelIO

/// One connection to the upstream: requests one after another.
final class UpstreamConnection: ReadinessHandler {
    private enum State {
        case head
        /// Bytes of a request body that are still to come; then the small answer goes out.
        case sinking(Int)
        /// Bytes of an answer that are still to be sent.
        case generating(Int)
        case streaming
        case closed
    }

    private unowned let server: UpstreamServer
    private let descriptor: CInt
    private var registration: Registration?
    private var state = State.head
    private var partial = ByteBuffer()
    private var unsent = ByteBuffer()

    private static let maxReadsPerTurn = 8

    init(_ descriptor: CInt, _ server: UpstreamServer) throws {
        (self.descriptor, self.server) = (descriptor, server)
        registration = try server.reactor.register(descriptor, self)
    }

    deinit { Glibc.close(descriptor) }

    func ready(_ readiness: Readiness) {
        if readiness.contains(.write) || readiness.isEmpty {
            if !unsent.isEmpty {
                var rest = ByteBuffer()
                swap(&rest, &unsent)
                rest.withMutableBytes { send(UnsafeRawBufferPointer($0)) }
            }
            if unsent.isEmpty, case .generating(let rest) = state { generate(rest) }
        }
        if readiness.contains(.read) || readiness.isEmpty { receive() }
    }

    private func close() {
        if case .closed = state { return }
        if case .streaming = state { server.ticker.remove(self) }
        state = .closed
        if let registration { server.reactor.deregister(registration) }
        registration = nil
        shutdown(descriptor, CInt(SHUT_RDWR))
        server.forget(self)
    }

    private func continueNextTurn() {
        if let registration { server.reactor.callAgain(registration) }
    }

    // MARK: Receiving

    private func receive() {
        for _ in 0..<UpstreamConnection.maxReadsPerTurn {
            let room = server.scratch
            let count: Int
            switch state {
            case .closed: return
            case .sinking(let rest):
                // Read and thrown away inside the kernel (tcp(7), MSG_TRUNC): the sink must cost little.
                count = recv(descriptor, room.baseAddress, min(rest, 4 << 20), CInt(MSG_TRUNC))
                if count > 0 {
                    sink(rest - count)
                    continue
                }
            default:
                count = recv(descriptor, room.baseAddress, room.count, 0)
                if count > 0 {
                    take(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[..<count]))
                    if count < room.count, case .head = state { return }
                    continue
                }
            }
            if count < 0 && errno == EINTR { continue }
            if count == 0 || errno != EAGAIN { close() }
            return
        }
        continueNextTurn()
    }

    private func take(_ bytes: UnsafeRawBufferPointer) {
        guard case .head = state else { return }
        if partial.isEmpty {
            let consumed = serve(bytes)
            if consumed < bytes.count { partial.append(UnsafeRawBufferPointer(rebasing: bytes[consumed...])) }
        } else {
            partial.append(bytes)
            let consumed = partial.withMutableBytes { serve(UnsafeRawBufferPointer($0)) }
            partial.consume(consumed)
        }
    }

    /// Answers the requests that are whole; how many bytes they took.
    private func serve(_ bytes: UnsafeRawBufferPointer) -> Int {
        var offset = 0
        while case .head = state {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            guard let size = ResponseHeadScan.endOfHead(rest) else { break }
            let body = RequestLine.contentLength(rest, size)
            let path = RequestLine.path(rest)
            offset += size
            let arrived = min(body, bytes.count - offset)
            offset += arrived
            switch path {
            case .small: sink(body - arrived)
            case .download(let count): startDownload(count)
            case .events(let rate): startEvents(rate)
            case .unknown: close()
            }
        }
        return offset
    }

    private func sink(_ rest: Int) {
        if rest > 0 {
            state = .sinking(rest)
        } else {
            state = .head
            server.smallAnswer.withUnsafeBytes { send($0) }
        }
    }

    // MARK: Sending

    func send(_ bytes: UnsafeRawBufferPointer) {
        let sent = unsent.isEmpty ? transmit(bytes) : 0
        if sent < bytes.count { unsent.append(UnsafeRawBufferPointer(rebasing: bytes[sent...])) }
    }

    private func transmit(_ bytes: UnsafeRawBufferPointer) -> Int {
        var sent = 0
        while sent < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[sent...])
            let count = Glibc.send(descriptor, rest.baseAddress, rest.count, CInt(MSG_NOSIGNAL))
            if count >= 0 {
                sent += count
            } else if errno != EINTR {
                break
            }
        }
        return sent
    }

    private func startDownload(_ count: Int) {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: \(count)\r\n\r\n"
        state = .generating(count)
        Array(head.utf8).withUnsafeBytes { send($0) }
        continueNextTurn()
    }

    /// Sends until the kernel takes no more, in bounded turns, without copying.
    private func generate(_ count: Int) {
        var rest = count
        for _ in 0..<8 where rest > 0 {
            let size = min(rest, server.block.count)
            let sent = server.block.withUnsafeBytes { transmit(UnsafeRawBufferPointer(rebasing: $0[..<size])) }
            rest -= sent
            if sent < size {
                state = .generating(rest)
                return
            }
        }
        state = rest > 0 ? .generating(rest) : .head
        continueNextTurn()
    }

    private func startEvents(_ rate: Int) {
        state = .streaming
        let head = """
            HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
            Transfer-Encoding: chunked\r\n\r\n
            """
        Array(head.utf8).withUnsafeBytes { send($0) }
        server.ticker.add(self, rate: rate)
    }
}

/// What the upstream reads of a request.
private enum RequestLine {
    case small
    case download(Int)
    case events(Int)
    case unknown

    static func path(_ bytes: UnsafeRawBufferPointer) -> RequestLine {
        if bytes.starts(with: "POST /".utf8) { return .small }
        if bytes.starts(with: "GET /download/".utf8) { return .download(number(bytes, 14)) }
        if bytes.starts(with: "GET /events/".utf8) { return .events(number(bytes, 12)) }
        return .unknown
    }

    static func contentLength(_ bytes: UnsafeRawBufferPointer, _ size: Int) -> Int {
        ResponseHeadScan.contentLength(bytes, size) ?? 0
    }

    private static func number(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> Int {
        var value = 0
        for byte in bytes[start...] {
            guard (0x30...0x39).contains(byte) else { break }
            value = value &* 10 &+ Int(byte &- 0x30)
        }
        return value
    }
}
