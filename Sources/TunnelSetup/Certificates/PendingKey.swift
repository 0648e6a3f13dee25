internal import Synchronization
internal import TunnelIO
internal import TunnelPKI

/// A private key that is being made on another thread. RSA takes as long as all the rest of setup together, so it is
/// begun first and waited for last.
final class PendingKey: Sendable {
    private struct State {
        var result: Result<PrivateKey, PKIError>?
        var waiter: UnsafeContinuation<Result<PrivateKey, PKIError>, Never>?
    }
    private let state = Mutex(State())

    /// Begins at once; a key that nobody waits for is dropped.
    init(_ type: KeyType) {
        let isAccepted = BlockingPool.signatures.submit { [self] in
            finish(Result { () throws(PKIError) in try .generate(type) })
        }
        if !isAccepted { finish(Result { () throws(PKIError) in try .generate(type) }) }
    }

    private func finish(_ result: Result<PrivateKey, PKIError>) {
        let waiter = state.withLock { state in
            state.result = result
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: result)
    }

    /// The key, once it is made. One task may wait.
    func value() async throws(PKIError) -> PrivateKey {
        let result = await withUnsafeContinuation { continuation in
            let result = state.withLock { state in
                if state.result == nil { state.waiter = continuation }
                return state.result
            }
            if let result { continuation.resume(returning: result) }
        }
        return try result.get()
    }
}
