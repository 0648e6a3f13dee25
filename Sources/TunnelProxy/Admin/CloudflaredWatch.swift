internal import FoundationEssentials
internal import TunnelCore
internal import TunnelIO

/// Asks cloudflared's `/ready` every few seconds, where `cloudflared_metrics` says where that is, and keeps what it said:
/// nobody who asks for the page makes a request there.
final class CloudflaredWatch {
    private let reactor: Reactor
    private let address: () -> UpstreamAddress?
    private lazy var timer = Deadline(on: reactor) { [unowned self] in beat() }
    private var isAsking = false

    /// What it said last; `nil` where it is not to be asked.
    private(set) var facts: Status.Cloudflared?

    private static let interval: UInt64 = 10_000_000_000
    private static let limit: UInt64 = 3_000_000_000
    private static let maxBody = 4_096

    /// - Parameter address: as the configuration in force has it.
    init(on reactor: Reactor, address: @escaping () -> UpstreamAddress?) {
        (self.reactor, self.address) = (reactor, address)
    }

    func start() { beat() }
    func stop() { timer.cancel() }

    private func beat() {
        timer.set(after: Self.interval)
        guard let address = address() else {
            facts = nil
            return
        }
        guard !isAsking else { return }
        isAsking = true
        reactor.spawn(with: self) { await $0.ask(address) }
    }

    private func ask(_ address: UpstreamAddress) async {
        var next: Status.Cloudflared
        do {
            let (status, body) = try await get(address)
            next = Self.read(status, body)
        } catch let error as IOError {
            next = Status.Cloudflared(ready: false, detail: "\(error)")
        } catch { next = Status.Cloudflared(ready: false, detail: "no response of HTTP/1.1: \(error)") }
        next.checked = SystemClock.now().description
        facts = next
        isAsking = false
    }

    /// What `/ready` gives: `{"status":200,"readyConnections":4,"connectorId":"…"}`, with the same status in the head.
    static func read(_ status: Int, _ body: [UInt8]) -> Status.Cloudflared {
        struct Ready: Decodable { let readyConnections: Int }
        guard let ready = try? JSONDecoder().decode(Ready.self, from: Data(body)) else {
            return Status.Cloudflared(ready: false, detail: "what responds there is not cloudflared: status \(status)")
        }
        let count = ready.readyConnections
        let isReady = status == 200 && count > 0
        let detail = isReady ? "connected to the edge" : "no connection to the edge"
        return Status.Cloudflared(ready: isReady, connections: count, detail: detail)
    }

    private func get(_ address: UpstreamAddress) async throws -> (status: Int, body: [UInt8]) {
        let found: [IPAddress]
        if let literal = IPAddress(address.host) {
            found = [literal]
        } else {
            found = try await reactor.resolver.resolve(address.host, timeout: Self.limit, ttl: 0)
        }
        let targets = Connector.alternating(found).map { SocketAddress.ip($0, port: address.port) }
        let socket: Socket
        do throws(DialError) {
            (socket, _) = try await Connector.connect(to: targets, timeout: Self.limit, on: reactor)
        } catch { throw error.error }
        defer { socket.close() }
        let deadline = Deadline(on: reactor) { socket.close(IOError(.timedOut, "read")) }
        deadline.set(after: Self.limit)
        defer { deadline.cancel() }

        let host = address.host.utf8.contains(UInt8(ascii: ":")) ? "[\(address.host)]" : address.host
        let request = Array("GET /ready HTTP/1.1\r\nHost: \(host):\(address.port)\r\nConnection: close\r\n\r\n".utf8)
        _ = request.withUnsafeBytes { socket.send($0) }
        try await socket.flush(stall: 0)
        var reader = ResponseReader(.get)
        while true {
            if try reader.takeHead(), try reader.takeBody(limit: Self.maxBody) { return (reader.status, reader.body) }
            switch try socket.receive(into: &reader.buffer, limit: ResponseReader.bufferLimit) {
            case .bytes: continue
            case .nothing: await socket.readable()
            case .end:
                try reader.endOfInput()
                return (reader.status, reader.body)
            }
        }
    }
}
