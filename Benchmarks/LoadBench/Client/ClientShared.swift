import Glibc
import TunnelCore
import TunnelIO
import TunnelTLS

/// What all connections of one load process use: the loop, the scratch memory, the TLS context, the target.
final class ClientShared {
    let reactor: Reactor
    let target: LoadTarget
    let tls: TLSClientContext
    let handshake: ClientHandshake
    /// Bytes of the WebSocket's opening request.
    let upgradeRequest: [UInt8]
    /// Received bytes live here between the system call and the decoder.
    let scratch: UnsafeMutableRawBufferPointer
    /// Encrypted bytes on their way to the kernel; empty between calls.
    var staging = ByteBuffer(capacity: 256 * 1024)
    private var nextSource: UInt32 = 0

    static let scratchSize = 256 * 1024

    /// - Parameter isHTTP2: `h2` is all that is offered by ALPN, else `http/1.1`.
    init(_ reactor: Reactor, _ target: LoadTarget, isHTTP2: Bool) throws {
        self.reactor = reactor
        self.target = target
        guard let anchors = TextFile.read(target.caFile) else { throw BenchError("cannot read \(target.caFile)") }
        tls = try TLSClientContext(
            trust: TrustStore(pem: anchors),
            options: TLSClientOptions(minVersion: .tls13, maxVersion: .tls13, alpn: [isHTTP2 ? "h2" : "http/1.1"]))
        handshake = try ClientHandshake(host: target.host(0), path: "/")
        var request = ByteBuffer()
        handshake.appendRequest(into: &request)
        upgradeRequest = request.array
        scratch = .allocate(byteCount: ClientShared.scratchSize, alignment: 64)
    }

    deinit { scratch.deallocate() }

    /// A socket that connects to the target, from one of 127.0.0.1 to 127.0.0.16 in turn so that ports last.
    func connect() throws(BenchError) -> CInt {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw .system("socket") }
        var one: CInt = 1
        setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &one, 4)
        // The port is chosen at connect, so that it need be free only towards the target (ip(7)).
        setsockopt(descriptor, CInt(IPPROTO_IP), 24, &one, 4)
        var source = LoopbackAddress.make(host: 1 + nextSource % 16, port: 0)
        nextSource &+= 1
        var destination = LoopbackAddress.make(host: 1, port: target.port)
        let bound = LoopbackAddress.withPointer(&source) { bind(descriptor, $0, $1) }
        let result = LoopbackAddress.withPointer(&destination) { Glibc.connect(descriptor, $0, $1) }
        guard bound == 0, result == 0 || errno == EINPROGRESS else {
            let error = BenchError.system("connect")
            close(descriptor)
            throw error
        }
        return descriptor
    }
}

/// Whom to load and how to speak to them.
struct LoadTarget {
    enum Mode: String {
        /// TLS inside WebSocket frames, as the proxy wants it.
        case tunnel
        /// TLS on TCP, for nginx.
        case direct
    }
    var mode: Mode
    var port: UInt16
    var caFile: String
    /// Hosts are `r0.bench.test` to `r<routes-1>.bench.test`.
    var routes: Int

    static let domain = "bench.test"

    func host(_ index: Int) -> String { "r\(index % routes).\(LoadTarget.domain)" }
}

extension BenchError {
    static func system(_ operation: String) -> BenchError {
        BenchError("\(operation): \(String(cString: strerror(errno)))")
    }
}
