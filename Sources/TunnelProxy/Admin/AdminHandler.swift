internal import TunnelCore
internal import TunnelIO

/// Serves the requests of one connection to the admin listener.
final class AdminHandler: RequestHandler {
    private let site: AdminSite
    private var body: AdminBody?
    private(set) var isServing = false
    /// When the last request ended, or the connection began, as a number of the site.
    private(set) var lastHeard: UInt64

    /// A word for `/log-level` is longer than none.
    private static let maxBody = 1_024

    init(_ site: AdminSite) {
        self.site = site
        lastHeard = site.nextNumber()
    }

    /// Ends the response that is being streamed.
    func cancel() { body?.endNow() }

    func serve(_ stream: any ServerStream) async -> ResponseEnd {
        isServing = true
        defer { (isServing, lastHeard) = (false, site.nextNumber()) }
        var request = stream.adminRequest
        stream.releaseHead()
        site.worker.log(.debug, "admin request") { line in
            line.field("id", stream.connectionNumber)
            line.field("method", request.method)
            line.field("path", request.path)
        }
        let endpoint = site.endpoints[request.path]
        if let refusal = site.rules.refusal(of: request, takesLinks: endpoint?.takesLinks ?? false) {
            return await send(refusal, request, stream)
        }
        guard let endpoint else {
            return await send(.text("There is nothing at this path", status: 404), request, stream)
        }
        switch request.method {
        case "GET", "HEAD": break
        case "PUT" where endpoint.takesPut:
            guard let body = await receiveBody(stream) else {
                return await send(
                    .text("Longer than \(Self.maxBody) bytes, or malformed", status: 413), request, stream)
            }
            request.body = body
        default:
            var refusal = AdminResponse.text("No such method here", status: 405)
            refusal.fields = [("Allow", endpoint.takesPut ? "GET, HEAD, PUT" : "GET, HEAD")]
            return await send(refusal, request, stream)
        }
        switch await endpoint.reply(to: request) {
        case .whole(let response): return await send(response, request, stream)
        case .stream(let type, let source): return await sendStream(type, source, request, stream)
        }
    }

    /// `nil` for one that is too long.
    private func receiveBody(_ stream: any ServerStream) async -> [UInt8]? {
        var body: [UInt8] = []
        while body.count <= Self.maxBody {
            do throws(HTTPError) {
                switch try stream.receiveBody(limit: Self.maxBody + 1, { body += $0 }) {
                case .end: return body
                case .moved: continue
                case .nothing: break
                }
            } catch { return nil }
            guard stream.end == nil, await stream.bodyReadable() else { return nil }
        }
        return nil
    }

    // MARK: Responses

    private func send(_ response: AdminResponse, _ request: AdminRequest, _ stream: any ServerStream) async
        -> ResponseEnd
    {
        let length = ("Content-Length", "\(response.body.count)")
        sendHead(response.status, [("Content-Type", response.type), length] + response.fields, request, stream)
        if request.method != "HEAD" {
            var buffer = ByteBuffer()
            response.body.withUnsafeBytes { buffer.append($0) }
            stream.sendBody(&buffer, buffer.count)
        }
        if stream.push() == .full {
            do throws(IOError) { try await stream.flush() } catch { return .cut }
        }
        return .whole
    }

    private func sendStream(
        _ type: String, _ source: (AdminBody) async -> Void, _ request: AdminRequest, _ stream: any ServerStream
    ) async -> ResponseEnd {
        sendHead(200, [("Content-Type", type), ("Transfer-Encoding", "chunked")], request, stream)
        let body = AdminBody(stream, on: site.worker.reactor)
        if request.method != "HEAD" {
            self.body = body
            stream.observer = body
            defer { (self.body, stream.observer) = (nil, nil) }
            if stream.end != nil { return .cut }
            await source(body)
            if body.isOver { return .cut }
            stream.endBody(trailers: [])
        }
        if stream.push() == .full {
            do throws(IOError) { try await stream.flush() } catch { return .cut }
        }
        return .whole
    }

    /// Heads are written as text and read as those of an upstream are, so that framing and Connection are done in one place.
    private func sendHead(
        _ status: UInt16, _ fields: [(name: String, value: String)], _ request: AdminRequest, _ stream: any ServerStream
    ) {
        var text = "HTTP/1.1 \(status) \(ErrorResponse.reasonPhrase(status))\r\n"
        let always = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
        for field in fields + always { text += "\(field.0): \(field.1)\r\n" }
        var buffer = ByteBuffer()
        buffer.append("\(text)\r\n")
        var head = ResponseHead()
        buffer.withBytes { bytes in
            // Written above, and whole.
            _ = try? head.parse(bytes, requestMethod: request.method == "HEAD" ? .head : .get)
            stream.sendHead(head, bytes, adding: AddedLines())
        }
    }
}

extension ServerStream {
    fileprivate var adminRequest: AdminRequest {
        var request: AdminRequest?
        withHead { head, bytes in request = AdminRequest(head, bytes) }
        return request ?? AdminRequest(RequestHead(), Span())
    }
}
