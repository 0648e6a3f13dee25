import Glibc
import TunnelCore
import TunnelIO
import TunnelProxy

/// Why an upstream could not be asked: the fault, and what was seen of it.
struct UpstreamFailure: Error, CustomStringConvertible {
    let fault: Fault
    var evidence: [String]

    init(_ fault: Fault, _ evidence: String...) { (self.fault, self.evidence) = (fault, evidence) }

    var description: String { ([fault.title] + evidence).joined(separator: ": ") }

    // MARK: Names and connections

    init(lookup name: String, _ error: IOError) {
        let fault: Fault =
            switch error.code {
            case .nameNotFound: .nameUnknown
            case .timedOut: .nameTimeout
            default: .nameFailed
            }
        self.init(fault, "lookup \(name): \(error.reason)")
    }

    init(dial error: DialError) {
        let fault: Fault =
            switch error.error.code {
            case .timedOut: .connectTimeout
            case .system(ECONNREFUSED): .connectionRefused
            case .system(let number) where IOError.isReset(number): .reset
            default: .unreachable
            }
        self.init(fault, error.description)
    }

    // MARK: TLS

    init(tls error: IOError, to address: SocketAddress) {
        let fault: Fault =
            switch error.code {
            case .timedOut: .tlsTimeout
            case .endOfStream: .tlsClosed
            case .system(let number) where IOError.isReset(number): .tlsClosed
            default: Self.reason(error.reason.lowercased())
            }
        self.init(fault, "\(address): tls handshake failed: \(Diagnostic.excerpt(error.reason, limit: 200))")
    }

    private static func reason(_ words: String) -> Fault {
        tlsWords.first { $0.parts.contains { words.contains($0) } }?.fault ?? .tlsFailed
    }

    /// What OpenSSL says, as the log has it too. The first that fits counts: a verdict on a certificate ends with `verify failed`.
    private static let tlsWords: [(fault: Fault, parts: [String])] = [
        (.tlsExpired, ["certificate has expired"]), (.tlsNotYetValid, ["not yet valid"]),
        (.tlsName, ["hostname mismatch", "ip address mismatch"]),
        (
            .tlsUntrusted,
            [
                "self-signed", "self signed", "issuer certificate", "verify the first", "certificate signature",
                "invalid ca",
                "not trusted", "key identifier", "purpose", "verify failed",
            ]
        ),
        (.tlsClientCertificate, ["certificate required", "no certificate"]), (.tlsALPN, ["no application protocol"]),
        (.tlsProtocol, ["protocol version", "unsupported protocol", "handshake failure", "no shared cipher"]),
        (.tlsPlain, ["wrong version number", "http request", "packet length", "record layer"]),
    ]

    // MARK: HTTP

    /// - Parameter isHTTP2: what the request was sent in.
    init(_ failure: OwnRequest.Failure, to address: SocketAddress, isHTTP2: Bool, within limit: Duration) {
        let seconds = "\(GoDuration(clamping: limit))"
        switch failure {
        case .silent: self.init(.silent, "\(address): nothing within \(seconds)")
        case .stalled: self.init(.stalled, "\(address): the response was not whole after \(seconds)")
        case .closed: self.init(.closed, "\(address): the connection ended")
        case .brokenOff: self.init(.brokenOff, "\(address): the connection ended in the midst of the response")
        case .reset: self.init(.reset, "\(address): connection reset by peer")
        case .tooLarge(let limit): self.init(.tooLarge, "\(address): more than \(limit) bytes")
        case .failed(let error) where error.code == .tls: self.init(tls: error, to: address)
        case .failed(let error): self.init(.closed, "\(address): \(error)")
        case .malformed(let reason, let first):
            self.init(
                Self.speech(of: first, toHTTP2: isHTTP2), "\(address): \(reason)",
                "the first bytes are \(Self.shown(first))")
        }
    }

    /// What a server speaks that does not speak what it was asked in, by its first bytes.
    private static func speech(of first: [UInt8], toHTTP2: Bool) -> Fault {
        // An alert of TLS (RFC 8446 §5.1).
        if first.count >= 2, first[0] == 0x15, first[1] == 0x03 { return .speaksTLS }
        // A SETTINGS or GOAWAY frame on stream 0 (RFC 9113 §4.1, §3.4).
        if first.count >= 9, first[0] == 0, first[3] == 0x04 || first[3] == 0x07, first[5..<9].allSatisfy({ $0 == 0 }) {
            return .http2Only
        }
        // Most servers of HTTP/1.1 refuse the preface of HTTP/2 for its version or its method.
        if toHTTP2, first.starts(with: "HTTP/1.".utf8) { return .http1Only }
        return .notHTTP
    }

    private static func shown(_ bytes: [UInt8]) -> String {
        let part = bytes.prefix(16)
        if part.allSatisfy({ (0x20...0x7E).contains($0) }) { return "\"\(String(decoding: part, as: UTF8.self))\"" }
        return part.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    }

    /// Servers that speak TLS say in plain HTTP, too, that they do; and some ask for a certificate in this way.
    static func hidden(in response: OwnRequest.Response) -> Fault? {
        guard response.status == 400 else { return nil }
        let text = String(decoding: response.body.prefix(4096), as: UTF8.self).lowercased()
        if text.contains("https port") || text.contains("https server") { return .speaksTLS }
        return text.contains("ssl certificate") ? .tlsClientCertificate : nil
    }
}
