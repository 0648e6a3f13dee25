internal import TunnelCore
internal import TunnelTLS

/// The step of a handshake that signs, on its way to another thread and back.
final class SigningJob: @unchecked Sendable {
    // SAFETY: made on the loop, then touched by `run` on one thread of the pool alone, then by the loop again. The queues
    // between them order the accesses.
    private var engine: TLSEngine?
    /// The records that the step made, also where it failed: they may be the alert that says why.
    private(set) var flight = ByteBuffer()
    private(set) var failure: TLSError?

    init(_ engine: consuming TLSEngine) { self.engine = consume engine }

    /// Signs, and goes on with the handshake as far as it comes.
    func run() {
        do throws(TLSError) { try engine?.sign(output: &flight) } catch { failure = error }
    }

    func takeEngine() -> TLSEngine? { engine.take() }
}
