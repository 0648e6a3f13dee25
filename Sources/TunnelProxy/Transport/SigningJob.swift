internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// The step of a handshake that signs, on its way to another thread and back.
final class SigningJob: @unchecked Sendable {
    // SAFETY: made on the loop, then touched by `run` on one thread of the pool alone, then by the loop again. The queues
    // between them order the accesses.
    private var engine: TLSEngine?
    /// The records that the step made, also where it failed: they may be the alert that says why.
    private(set) var flight = ByteBuffer()
    private(set) var failure: TLSError?
    private let isCalledOff = Flag()

    init(_ engine: consuming TLSEngine) { self.engine = consume engine }

    /// Signs, and goes on with the handshake as far as it comes.
    func run() {
        guard !isCalledOff.isSet else { return }
        do throws(TLSError) { try engine?.sign(output: &flight) } catch { failure = error }
    }

    /// Nobody waits for it any more. Clients that give up and come again would otherwise queue behind their own past.
    func callOff() { isCalledOff.set() }

    func takeEngine() -> TLSEngine? { engine.take() }
}
