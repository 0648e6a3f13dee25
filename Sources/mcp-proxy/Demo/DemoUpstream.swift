import Glibc
import TunnelCore
import TunnelIO

/// Serves ``HelloServer`` over HTTP/1.1 on 127.0.0.1, each connection on a thread of its own.
final class DemoUpstream: Sendable {
    let port: UInt16
    /// So that it can be seen that events come one by one.
    static let pauseBetweenEvents = Duration.milliseconds(150)
    private static let maxBody = 65_536

    private let server = HelloServer()
    private let threads = BlockingPool(threads: 8, queued: 64)

    init() throws(DemoError) {
        let listener = try BlockingSocket.listen()
        port = listener.port
        // The thread owns its copy. It ends with the process, as the demo does.
        let descriptor = dup(listener.descriptor)
        guard descriptor >= 0, threads.submit({ [self] in accept(from: descriptor) }) else {
            throw DemoError("no thread for the MCP server")
        }
    }

    private func accept(from listener: CInt) {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            if descriptor < 0, errno == EAGAIN || errno == EINTR || errno == ECONNABORTED { continue }
            guard descriptor >= 0, threads.submit({ [self] in serve(descriptor) }) else { return }
        }
    }

    private func serve(_ descriptor: CInt) {
        do {
            let socket = try BlockingSocket(descriptor)
            var received: [UInt8] = []
            while let request = try readRequest(socket, &received) {
                try write(server.answer(request), to: socket)
            }
        } catch {
            // The far side of the demo tells what it missed.
        }
    }

    /// `nil` at the end of the connection.
    private func readRequest(
        _ socket: borrowing BlockingSocket, _ received: inout [UInt8]
    ) throws -> HelloServer.Request? {
        var head = RequestHead()
        var size = try head.parse(received.span)
        while size == nil {
            let more = try socket.read()
            if more.isEmpty { return nil }
            received += more
            size = try head.parse(received.span)
        }
        var request = HelloServer.Request(method: String(decoding: received[head.methodRange], as: UTF8.self))
        request.session = fieldValue("mcp-session-id", head.fields, received)
        received.removeFirst(size ?? 0)

        var body = BodyDecoder(head.framing)
        while true {
            let (consumed, produced) = try received.withUnsafeMutableBytes { try body.decode(inPlace: $0) }
            request.body += received[..<produced]
            received.removeFirst(consumed)
            if body.isComplete { return request }
            guard request.body.count <= Self.maxBody else { throw DemoError("request over \(Self.maxBody) bytes") }
            let more = try socket.read()
            if more.isEmpty { return nil }
            received += more
        }
    }

    private func write(_ answer: HelloServer.Answer, to socket: borrowing BlockingSocket) throws {
        switch answer {
        case .message(let message, let session):
            var head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            if let session { head += "Mcp-Session-Id: \(session)\r\n" }
            let body = "\(message)"
            try socket.write(Array("\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8))
        case .events(let messages): try writeEvents(messages, to: socket)
        case .accepted: try socket.write(Array("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".utf8))
        case .ended: try socket.write(Array("HTTP/1.1 204 No Content\r\n\r\n".utf8))
        case .refused(let status, let reason):
            let head = "HTTP/1.1 \(status) Refused\r\nContent-Type: text/plain\r\n"
            try socket.write(Array("\(head)Content-Length: \(reason.utf8.count)\r\n\r\n\(reason)".utf8))
        }
    }

    private func writeEvents(_ messages: [JSON], to socket: borrowing BlockingSocket) throws {
        var out = ByteBuffer()
        out.append("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n")
        out.append("Transfer-Encoding: chunked\r\n\r\n")
        for (index, message) in messages.enumerated() {
            if index > 0 {
                try socket.write(out.array)
                out.removeAll()
                poll(nil, 0, CInt(Self.pauseBetweenEvents / .milliseconds(1)))
            }
            let event = Array("event: message\nid: \(index)\ndata: \(message)\n\n".utf8)
            ChunkedEncoding.appendChunk(event.span, into: &out)
        }
        ChunkedEncoding.appendEnd(into: &out)
        try socket.write(out.array)
    }
}

/// The value of the first field of that name, which is given in lower case.
func fieldValue(_ name: String, _ fields: [Field], _ bytes: [UInt8]) -> String? {
    let field = fields.first { String(decoding: bytes[$0.name], as: UTF8.self).lowercased() == name }
    return field.map { String(decoding: bytes[$0.value], as: UTF8.self) }
}
