import TunnelAPI
import TunnelCore
import TunnelIO
import TunnelsAPIFake

/// One client's connection: requests in, answers or faults out, one after another.
final class FakeConnection {
    /// One byte more than the API takes is enough to be refused.
    private static let maxBodyBytes = 1 << 20 + 1
    /// For one request with its response, and for the next to begin.
    private static let patience: UInt64 = 60_000_000_000
    /// For the rest of a request that was refused, so that the response is not lost with it.
    private static let lingering: UInt64 = 2_000_000_000

    private let socket: Socket
    private unowned let server: FakeServer
    private var input = ByteBuffer()
    private lazy var deadline = Deadline(on: server.reactor) { [unowned self] in
        socket.close(IOError(.timedOut, "read"))
    }

    init(_ socket: Socket, _ server: FakeServer) { (self.socket, self.server) = (socket, server) }

    func serve() async {
        while true {
            deadline.set(after: FakeConnection.patience)
            guard await serveRequest() else { break }
        }
        deadline.cancel()
        socket.close()
    }

    /// - Returns: whether another request may come.
    private func serveRequest() async -> Bool {
        do throws(HTTPError) {
            guard let head = try await readHead() else { return false }
            let isPersistent = head.isPersistent
            var request = request(head)
            input.consume(head.size)
            if head.head.expectsContinue, input.isEmpty { await send(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) }
            var decoder = BodyDecoder(head.head.framing)
            guard let body = try await readBody(&decoder) else { return false }
            request.body = body
            return await respond(to: request, isPersistent: isPersistent && decoder.isComplete)
        } catch {
            let response = HTTPResponse(
                status: Int(error.status), fields: [HTTPField("content-type", "text/plain")],
                body: Array("\(error.reason)\n".utf8))
            await send(encode(response, isPersistent: false, hasBody: true))
            await linger()
            return false
        }
    }

    // MARK: Reading

    private struct ReceivedHead {
        let head: RequestHead
        let size: Int
        var isPersistent: Bool { head.isPersistent }
    }

    /// - Returns: `nil` where the connection ended.
    private func readHead() async throws(HTTPError) -> ReceivedHead? {
        var head = RequestHead()
        while true {
            let size = try input.withBytes { (bytes) throws(HTTPError) in try head.parse(bytes) }
            if let size { return ReceivedHead(head: head, size: size) }
            guard await receive() else { return nil }
        }
    }

    /// The whole body, or the beginning of one that is too long; `nil` where the connection ended.
    private func readBody(_ decoder: inout BodyDecoder) async throws(HTTPError) -> [UInt8]? {
        var body: [UInt8] = []
        while true {
            if !input.isEmpty {
                let before = body.count
                let consumed = try input.withMutableBytes { (bytes) throws(HTTPError) -> Int in
                    let (consumed, produced) = try decoder.decode(inPlace: bytes)
                    body.append(contentsOf: bytes.prefix(min(produced, FakeConnection.maxBodyBytes - before)))
                    return consumed
                }
                input.consume(consumed)
            }
            if decoder.isComplete || body.count >= FakeConnection.maxBodyBytes { return body }
            guard await receive() else { return nil }
        }
    }

    private func request(_ received: ReceivedHead) -> FakeRequest {
        input.withBytes { bytes in
            func text(_ range: Range<Int>) -> String {
                String(decoding: bytes.extracting(range).withUnsafeBytes { [UInt8]($0) }, as: UTF8.self)
            }
            let head = received.head
            return FakeRequest(
                text(head.methodRange), text(head.target),
                fields: head.fields.map { HTTPField(text($0.name), text($0.value)) })
        }
    }

    /// Takes what is there, at most 64 KiB; `false` at the end of the connection.
    private func receive() async -> Bool {
        while true {
            let room = server.reactor.scratch
            guard let count = try? socket.receive(into: room) else {
                if socket.failure != nil { return false }
                await socket.readable()
                continue
            }
            if count > 0 { input.append(UnsafeRawBufferPointer(rebasing: room.prefix(count))) }
            return count > 0
        }
    }

    // MARK: Answering

    private func respond(to request: FakeRequest, isPersistent: Bool) async -> Bool {
        // RFC 9110 §9.3.2: HEAD gets no body.
        let hasBody = request.method != "HEAD"
        switch server.answer(request) {
        case .response(let response):
            await send(encode(response, isPersistent: isPersistent, hasBody: hasBody))
            if !isPersistent { await linger() }
            return isPersistent
        case .truncated(let response, let count):
            let whole = encode(response, isPersistent: isPersistent, hasBody: hasBody)
            await send(Array(whole.dropLast(response.body.count - count)))
            return false
        case .stall:
            deadline.cancel()
            while await receive() { input.removeAll() }
            return false
        case .drop, .refuse:
            socket.reset(IOError(.closed, "a fault that was asked for"))
            return false
        }
    }

    private func encode(_ response: HTTPResponse, isPersistent: Bool, hasBody: Bool) -> [UInt8] {
        let reason = response.status == 200 ? "OK" : "\(ErrorResponse.reasonPhrase(UInt16(clamping: response.status)))"
        var text = "HTTP/1.1 \(response.status) \(reason)\r\n"
        for field in response.fields { text += "\(field.name): \(field.value)\r\n" }
        text += "content-length: \(response.body.count)\r\n"
        if !isPersistent { text += "connection: close\r\n" }
        return Array((text + "\r\n").utf8) + (hasBody ? response.body : [])
    }

    private func send(_ bytes: [UInt8]) async {
        _ = bytes.withUnsafeBytes { socket.send($0) }
        // A client that has gone shows at the next read.
        try? await socket.flush()
    }

    /// Ends our side and waits for the client's, because closing with bytes unread would reset the response away.
    private func linger() async {
        socket.shutdownWrite()
        deadline.set(after: FakeConnection.lingering)
        while await receive() { input.removeAll() }
    }
}
