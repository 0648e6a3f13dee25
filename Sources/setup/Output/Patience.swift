import Synchronization
import TunnelAPI
import TunnelIO
import TunnelSetup

/// Says what is being waited for where a server has accepted and stays silent. Requests have time-outs of up to a minute and
/// are repeated, and minutes without a word look like a program that hangs.
struct Patience: Sendable {
    static let silenceSeconds = 5

    let loop: Loop
    let console: Console

    /// - Parameters:
    ///   - silent: who is, and at what, as it comes before "for 5 s".
    ///   - limit: seconds after which it is given up, where that is known.
    func wait<Value, Failure: Error>(
        whileSilent silent: String, upTo limit: Int64? = nil, _ body: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let flag = Flag()
        let (loop, console) = (loop, console)
        loop.spawn { _ in
            await loop.pause(.seconds(Self.silenceSeconds))
            guard !flag.isDone.withLock({ $0 }) else { return }
            console.note("\(silent) for \(Self.silenceSeconds) s; waiting\(limit.map { " up to \($0) s" } ?? "")")
        }
        defer { flag.isDone.withLock { $0 = true } }
        return try await body()
    }

    private final class Flag: Sendable {
        let isDone = Mutex(false)
    }
}

/// A transport that says whom it waits for.
struct PatientTransport: HTTPTransport {
    let transport: any HTTPTransport
    let patience: Patience

    func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
        let silent = "\(request.service) has not responded to \(request.method)"
        return try await patience.wait(whileSilent: silent, upTo: request.timeout.components.seconds) {
            () throws(TransportError) in try await transport.send(request)
        }
    }

    func pause(_ duration: Duration) async { await transport.pause(duration) }
}

/// A store at the other end of a network, that says whom it waits for.
struct PatientStore: CredentialStore {
    let store: any CredentialStore
    let patience: Patience

    var location: String { store.location }
    var isExclusive: Bool { store.isExclusive }

    func load() async throws(StoreError) -> StoreContents {
        try await patience.wait(whileSilent: "the Kubernetes API has not let \(location) be read") {
            () throws(StoreError) in
            try await store.load()
        }
    }

    func write(_ changes: StoreChanges, over contents: StoreContents) async throws(StoreError) -> StoreContents {
        try await patience.wait(whileSilent: "the Kubernetes API has not let \(location) be written") {
            () throws(StoreError) in
            try await store.write(changes, over: contents)
        }
    }
}
