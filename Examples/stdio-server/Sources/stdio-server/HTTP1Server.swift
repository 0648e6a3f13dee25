import TunnelCore

/// Responds to one request of HTTP/1.1 and closes, or becomes a WebSocket that sends every message back.
final class HTTP1Server: Speaker {
    private enum Phase { case request, webSocket, finished }

    private var phase = Phase.request
    private var input: [UInt8] = []
    private var output = ByteBuffer()
    private var head = RequestHead()
    private var handshake = ServerHandshake(subprotocols: ["echo"], deflate: DeflateParameters())
    private var messages = WebSocketMessages(role: .server)

    func takeOutput() -> [UInt8] {
        defer { output.removeAll() }
        return output.array
    }

    var isFinished: Bool {
        switch phase {
        case .request: false
        case .webSocket: messages.isFinished
        case .finished: true
        }
    }

    func receive(_ bytes: ArraySlice<UInt8>, now: UInt64) {
        switch phase {
        case .request:
            input += bytes
            readRequest()
        case .webSocket: echo(bytes)
        case .finished: break
        }
    }

    private func readRequest() {
        do throws(HTTPError) {
            // All that has come, again and again until the head is whole. What was scanned is not scanned again.
            guard try head.parse(input.span, limits: HeadLimits(maxBytes: 16_384, maxFields: 100)) != nil else {
                return
            }
        } catch {
            ErrorResponse.append(status: error.status, body: error.reason, connectionClose: true, into: &output)
            phase = .finished
            return
        }
        if head.isWebSocketUpgrade { return upgrade() }
        phase = .finished
        // Ranges into the bytes that were parsed; nothing was copied.
        let parts = [head.methodRange, head.authority, head.path].map { String(decoding: input[$0], as: UTF8.self) }
        let body = parts.joined(separator: " ") + "\n"
        output.append("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: \(body.utf8.count)\r\n")
        output.append("Connection: close\r\n\r\n" as StaticString)
        output.append(body)
    }

    private func upgrade() {
        do throws(ServerHandshake.Refusal) {
            guard let request = try handshake.check(input.span) else { return }
            // A page of another site must not be able to talk to us with its visitor's rights.
            if let origin = request.values(of: "Origin").first, origin != "https://\(request.host)" {
                throw ServerHandshake.Refusal(status: 403, reason: "not for pages of other sites")
            }
            request.appendResponse(into: &output)
            messages = WebSocketMessages(role: .server, deflate: request.deflate)
            phase = .webSocket
            let early = input.dropFirst(request.consumed)
            input = []
            echo(early)
        } catch {
            error.appendResponse(into: &output)
            phase = .finished
        }
    }

    private func echo(_ bytes: ArraySlice<UInt8>) {
        messages.receive(Array(bytes).span)
        do {
            while let event = try messages.next(output: &output) {
                switch event {
                case .text(let text): try messages.send(text: text, output: &output)
                case .binary(let bytes): try messages.send(binary: bytes.span, output: &output)
                case .ping, .pong, .closed: break  // pings and the closing handshake are answered already
                }
            }
        } catch {
            // The Close frame that says why is in the output.
        }
    }
}
