import TunnelCore
import TunnelProxy
import TunnelTLS

/// Which fault of the table an error is, by the hop at which it came.
extension ProbeReport.Problem {
    init(_ error: any Error, at hop: ProbeReport.Hop, hasBegun: Bool = false) {
        let error = error as? FarSideError ?? FarSideError("\(error)")
        self.init(hop: hop, fault: Self.fault(error.cause, at: hop, hasBegun: hasBegun), evidence: [error.description])
    }

    /// - Parameter hasBegun: the head of a response was there.
    private static func fault(_ cause: FarSideError.Cause, at hop: ProbeReport.Hop, hasBegun: Bool) -> Fault {
        switch hop {
        case .name: return .nameUnknown
        case .tcp, .unix:
            if case .refused = cause { return .proxyNotRunning }
            return .proxyUnreachable
        case .websocket:
            if case .notWebSocket(status: 503) = cause { return .proxyBusy }
            return .proxyNoWebSocket
        case .tls:
            if case .tls(let reason) = cause { return tlsFault(reason) }
            return .innerFailed
        case .request, .mcp:
            switch cause {
            case .timedOut: return hasBegun ? .stalled : .silent
            case .endedEarly where hasBegun: return .brokenOff
            case .other: return .notHTTP
            default: return .tunnelBroken
            }
        }
    }

    /// OpenSSL's verdicts on a certificate, by its words.
    private static func tlsFault(_ reason: String) -> Fault {
        let untrusted = [
            "issuer certificate", "self-signed", "self signed", "unable to verify the first", "certificate signature",
            "invalid CA", "certificate not trusted", "key identifier mismatch",
        ]
        if reason.contains("mismatch") && (reason.contains("hostname") || reason.contains("IP address")) {
            return .innerName
        }
        if reason.contains("has expired") || reason.contains("not yet valid") { return .innerExpired }
        return untrusted.contains { reason.contains($0) } ? .innerUntrusted : .innerFailed
    }

    /// A response that the proxy has made itself, told by its words.
    ///
    /// - Returns: `nil` for what came from an upstream.
    init?(status: Int, type: String, body: [UInt8]) {
        guard [501, 502, 503, 504].contains(status), type == "text/plain", body.count < 200 else { return nil }
        let text = String(decoding: body, as: UTF8.self).split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
        guard let fault = Self.own(text, status) else { return nil }
        self.init(hop: .request, fault: fault, evidence: ["\(status) from the proxy: \(text)"])
    }

    private static func own(_ text: String, _ status: Int) -> Fault? {
        switch text {
        case "No route configured for host": .noRoute
        case "The upstream's name could not be resolved": status == 504 ? .nameTimeout : .nameUnknown
        case "The upstream's address is not allowed": .addressRefused
        case "The upstream did not accept a connection in time": .connectTimeout
        case "The upstream could not be reached": .connectionRefused
        case "The TLS handshake with the upstream failed": status == 504 ? .tlsTimeout : .tlsFailed
        case "The upstream did not respond in time": .silent
        case "The upstream closed the connection without a whole response": .closed
        case "The upstream sent a malformed response", "The upstream switched protocols unasked": .notHTTP
        case "Too many requests in flight": .proxyBusy
        default: nil
        }
    }

    /// What a status says about an MCP server, where nothing else was asked.
    init?(status: Int, isLoggedIn: Bool, evidence: [String]) {
        let fault: Fault?
        switch status {
        case 401, 403: fault = isLoggedIn ? .loginRefused : nil
        case 404: fault = .notFound
        case 405: fault = .postNotAllowed
        case 421: fault = .misdirected
        case 429: fault = .tooMany
        case 500...: fault = .serverError
        case 400...: fault = .badRequest
        default: fault = nil
        }
        guard let fault else { return nil }
        self.init(hop: .request, fault: fault, evidence: evidence)
    }
}
